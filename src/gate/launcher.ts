/**
 * The launcher: the last program before the job. In its own PID namespace it is process 1, so that
 * its end is the end of all that the job started, `setsid` or not. It runs no shell, looks nothing
 * up, and loads no module, not even `strict`: Debian's Perl would look for that under /usr/local
 * first. A test compiles it under strict and warnings.
 *
 * Descriptors: 3 the script, if the job is one; 4 the program to execute; 5 the control socket; 6,
 * 7, 8 the job's standard streams. The socket carries frames, each a 4-byte big-endian length, a
 * kind and the rest:
 *
 *     J  the job: uid, gid, runtime in ms, whether to switch user (0 or 1), whether it is a script (0 or 1), cwd,
 *        number of arguments, arguments, then NAME=VALUE each; every one after its own 4-byte length, so that any byte
 *        but NUL passes unharmed
 *     G  go: the deadline, ms of CLOCK_BOOTTIME. Nothing of the job starts before this
 *     S  a signal number for the job's process group
 *
 * and back come lines: `ready`, `started`, `failed STEP ERRNO TEXT`, `deadline`, and last `exited
 * N`, `signalled N` or `overrun N`. When the socket ends, however the gate ended, everything is
 * killed.
 */
export const LAUNCHER = String.raw`
$_ += 0 for @ARGV;
my ($prctl, $dup3, $close_range, $execveat, $setgroups, $setresgid, $setresuid, $capset, $clock_gettime, $setsid,
  $sigprocmask, $signalfd) = @ARGV;
my $alone = $$ == 1;                                  # process 1 of a PID namespace
my $init = $$;
my @quiet = qw(PIPE HUP INT QUIT TERM);               # the socket alone tells us what to do
$SIG{$_} = 'IGNORE' for @quiet;
open(my $control, '+<&=', 5) or die "control: $!";
fcntl($control, 2, 1) or die "FD_CLOEXEC: $!";
syscall($prctl, 36, 1, 0, 0, 0) == 0 or die "PR_SET_CHILD_SUBREAPER: $!";
syscall($prctl, 4, 0, 0, 0, 0) == 0 or die "PR_SET_DUMPABLE: $!"; # the job must not trace its guard
close_from(9);
# SIGCHLD is read from a descriptor: Perl runs a handler between its own steps, so that a signal which arrives right
# before select would wait for its end, and a job that ended at once be killed at its run time.
my $sigchld = pack('Q', 1 << 16);
mask(0) or die "SIG_BLOCK: $!";
my $fd = syscall($signalfd, -1, $sigchld, 8, 0x80000); # SFD_CLOEXEC
open(my $ended, '<&=', $fd) or die "signalfd: $!";

sub mask { return syscall($sigprocmask, $_[0], $sigchld, 0, 8) == 0 }
sub close_from { syscall($close_range, $_[0], 0xffffffff, 0) == 0 or die "close_range: $!" }
sub say_line { syswrite $control, "@_\n" }
sub now_ms {                                          # CLOCK_BOOTTIME
  my $time = pack('q2', 0, 0);
  syscall($clock_gettime, 7, $time) == 0 or die "clock_gettime: $!";
  my ($s, $ns) = unpack 'q2', $time;
  return $s * 1000 + int($ns / 1e6);
}
sub take {                                            # exactly n bytes; the end of the socket ends us
  my ($n, $bytes) = ($_[0], '');
  while (length $bytes < $n) {
    my $got = sysread $control, $bytes, $n - length $bytes, length $bytes;
    next if !defined $got && $! == 4;
    finish() if !$got;
  }
  return $bytes;
}
sub frame { my $body = take(unpack 'N', take(4)); return (substr($body, 0, 1), substr($body, 1)) }

# Ends all that descends from us. As process 1 one kill reaches it; else stop all first, so that none can fork away.
sub slay {
  if ($alone) { kill 'KILL', -1; while (waitpid(-1, 0) > 0) { } return }
  my %seen;
  while (1) {
    my @new = grep { !$seen{$_}++ } descendants();
    last if !@new;
    kill 'STOP', @new;
  }
  kill 'KILL', keys %seen;
  1 while waitpid(-1, 0) > 0;
}
sub descendants {
  opendir(my $proc, '/proc') or die "/proc: $!";
  my (%children, @found);
  for my $pid (grep { /^\d+$/ } readdir $proc) {
    open(my $stat, '<', "/proc/$pid/stat") or next;   # ended meanwhile
    my $line = do { local $/; <$stat> } // next;      # a name may hold a newline
    push @{$children{$2}}, $pid if $line =~ /\) (\S) (\d+) [^)]*\z/ && $1 ne 'Z';
  }
  my @todo = ($$);
  while (defined(my $pid = shift @todo)) { push @found, @{$children{$pid} // []}; push @todo, @{$children{$pid} // []} }
  return @found;
}
sub finish { slay(); exit 0 }

# The job's process, from fork to execveat. A failed step is reported with its errno, and nothing runs.
sub job {
  my ($report, $uid, $gid, $switch, $script, $cwd, $argv, $env, $deadline_ms) = @_;
  my $step = sub { return if $_[1]; syswrite $report, sprintf '%s %d %s', $_[0], $!, $!; kill 'KILL', $$; sleep 1 };
  $SIG{$_} = 'DEFAULT' for @quiet, 'FPE';              # Perl itself ignores SIGFPE
  $step->('SIG_UNBLOCK', mask(1));
  umask 022;
  $step->('setsid', syscall($setsid) >= 0);
  if ($switch) {
    $step->('setgroups', syscall($setgroups, 0, 0) == 0);
    $step->('setresgid', syscall($setresgid, $gid, $gid, $gid) == 0);
    if ($uid != 0) { for (my $cap = 0; syscall($prctl, 24, $cap, 0, 0, 0) == 0; $cap++) { } }  # PR_CAPBSET_DROP
    $step->('setresuid', syscall($setresuid, $uid, $uid, $uid) == 0);
  }
  syscall($prctl, 47, 4, 0, 0, 0);                    # PR_CAP_AMBIENT_CLEAR_ALL
  if ($uid != 0) {
    my ($header, $none) = (pack('Ll', 0x20080522, 0), pack('L6', (0) x 6));
    $step->('capset', syscall($capset, $header, $none) == 0);
  }
  $step->('no_new_privs', syscall($prctl, 38, 1, 0, 0, 0) == 0);
  $step->('pdeathsig', syscall($prctl, 1, 9, 0, 0, 0) == 0);
  kill 'KILL', $$ if getppid() != $init;              # it had died before
  $step->('cwd', chdir $cwd);
  $step->('dup3', syscall($dup3, 6 + $_, $_, 0) >= 0) for 0 .. 2;
  for my $stream (*STDIN, *STDOUT, *STDERR) {         # Node may have made them non-blocking (O_NONBLOCK)
    my $flags = fcntl($stream, 3, 0);
    $step->('fcntl', defined $flags && fcntl($stream, 4, $flags & ~0x800));
  }
  # Whatever the gate inherited without O_CLOEXEC ends here (CLOSE_RANGE_CLOEXEC); a script keeps descriptor 3.
  $step->('close_range', syscall($close_range, $script ? 4 : 3, 0xffffffff, 4) == 0);
  # Last of all: whoever serves the working directory's file system (FUSE, say) may have taken its time.
  $step->('deadline', now_ms() < $deadline_ms);
  my ($path, $argp, $envp) = ('', pack('p*', @$argv) . pack('J', 0), pack('p*', @$env) . pack('J', 0));
  syscall($execveat, 4, $path, $argp, $envp, 0x1000); # AT_EMPTY_PATH; not execvp, which would fall back to sh
  $step->('execveat', 0);
}

my ($kind, $body) = frame();
die "protocol: $kind" if $kind ne 'J';
my ($uid, $gid, $runtime_ms, $switch, $script, $cwd, $count, @rest) = unpack '(N/a*)*', $body;
$_ = int for $uid, $gid, $runtime_ms, $switch, $script, $count;
my @argv = splice @rest, 0, $count;
say_line('ready');
($kind, $body) = frame();
die "protocol: $kind" if $kind ne 'G';

sub give_up { say_line('failed', $_[0], $! + 0, $!); exit 0 }
pipe(my $result, my $report) or give_up('pipe');
my $pid = fork() // give_up('fork');
if ($pid == 0) { job($report, $uid, $gid, $switch, $script, $cwd, \@argv, \@rest, $body); exit 1 }
my $end_ms = now_ms() + $runtime_ms;
close $report;
my $failure = do { local $/; <$result> };
if (defined $failure && $failure ne '') { say_line($failure =~ /^deadline/ ? 'deadline' : "failed $failure"); finish() }
say_line('started');

my ($status, $overrun) = (undef, 0);
until (defined $status) {
  my $left_ms = $end_ms - now_ms();
  if ($left_ms <= 0) { $overrun = 1; kill 'KILL', $pid; waitpid($pid, 0); $status = $?; last }
  vec(my $ready = '', fileno $control, 1) = 1;
  vec($ready, fileno $ended, 1) = 1;
  my $n = select $ready, undef, undef, $left_ms < 60_000 ? $left_ms / 1000 : 60;
  next if $n <= 0;
  if (vec $ready, fileno $ended, 1) { sysread $ended, my $signal, 128 }
  while ((my $ended = waitpid(-1, 1)) > 0) { $status = $? if $ended == $pid }
  next if defined $status || !vec $ready, fileno $control, 1;
  ($kind, $body) = frame();
  die "protocol: $kind" if $kind ne 'S';
  kill int $body, -$pid;
}
slay();
say_line($overrun ? 'overrun' : ($status & 127) ? 'signalled' : 'exited', ($status & 127) || $status >> 8);
`;

/** What it takes the numbers of, in this order. */
export const LAUNCHER_CALLS = [
  "prctl",
  "dup3",
  "closeRange",
  "execveat",
  "setgroups",
  "setresgid",
  "setresuid",
  "capset",
  "clockGettime",
  "setsid",
  "sigprocmask",
  "signalfd",
] as const;
