/** What `portcullis doctor` found wrong, as against what failed. */
export class Complaint {
  readonly message: string;

  constructor(message: string) {
    this.message = message;
  }
}
