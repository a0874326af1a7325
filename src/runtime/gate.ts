/** Lets at most `width` tasks run at a time; the next waits its turn in order. */
export class Gate {
  private running = 0;
  private readonly waiting: (() => void)[] = [];

  constructor(private readonly width: number) {}

  get active(): number {
    return this.running;
  }

  /** Resolves once a place is free and taken. */
  async enter(): Promise<void> {
    if (this.running >= this.width) {
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    }
    this.running++;
  }

  leave(): void {
    this.running--;
    this.waiting.shift()?.();
  }
}
