/**
 * The sealer: copies files into sealed memory, memfd_create(2) with F_SEAL_WRITE, which nobody can
 * alter again, not even root. Node cannot make these calls; Perl, which Debian and most
 * distributions count as essential, can make any.
 *
 * Started with sources as descriptors 3, 4, ... and one bound in bytes for each. Answers one line
 * each: `sealed FD SIZE`, or last `large`, `unreadable WHY`, `unwritable WHY`, or, with nothing read
 * of this one, `unsealable WHY`. Keeps the copies until its standard input ends. The seals are set before anyone hashes, so what
 * was hashed is what stays.
 */
export const SEALER = String.raw`
$_ += 0 for @ARGV;
my ($memfd_create, $prctl, @bounds) = @ARGV;
$| = 1;
syscall($prctl, 1, 9, 0, 0, 0) == 0 or die "prctl: $!";         # PR_SET_PDEATHSIG: die with the gate
sub answer { print "@_\n"; exit if $_[0] ne 'sealed' }
sub memory {                                       # MFD_CLOEXEC, MFD_ALLOW_SEALING, MFD_EXEC (Linux 6.3)
  my $name = 'portcullis';
  my $fd = syscall($memfd_create, $name, 0x13);
  $fd = syscall($memfd_create, $name, 0x03) if $fd < 0 && $! == 22;
  answer('unsealable', "memfd_create: $!") if $fd < 0;
  open(my $memory, '+<&=', $fd) or die "open: $!";
  return $memory;
}
sub copy {
  my ($from, $to, $bound) = @_;
  my $size = 0;
  while (1) {
    my $n = sysread($from, my $chunk, 1 << 20);
    if (!defined $n && ($! == 4 || $! == 11)) {                 # EINTR; EAGAIN of a non-blocking pipe
      vec(my $ready = '', fileno($from), 1) = 1;
      select($ready, undef, undef, undef) if $! == 11;
      next;
    }
    answer('unreadable', $!) if !defined $n;
    return $size if $n == 0;
    answer('large') if ($size += $n) > $bound;
    for (my $at = 0; $at < $n;) {
      $at += syswrite($to, $chunk, $n - $at, $at) // answer('unwritable', $!);
    }
  }
}
my @kept;
for my $i (0 .. $#bounds) {
  my $memory = memory();
  open(my $source, '<&=', 3 + $i) or die "open: $!";
  my $size = copy($source, $memory, $bounds[$i]);
  chmod(0555, $memory) or die "fchmod: $!";
  fcntl($memory, 1033, 15) or die "F_ADD_SEALS: $!";            # SEAL, SHRINK, GROW, WRITE
  # A descriptor open for writing would make execve fail with ETXTBSY: keep one for reading.
  open(my $sealed, '<', '/proc/self/fd/' . fileno($memory)) or die "open: $!";
  push @kept, $sealed;
  answer('sealed', fileno($sealed), $size);
}
sysread(STDIN, my $end, 1);
`;
