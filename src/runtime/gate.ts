/** Lets at most `width` tasks run at a time; the next waits its turn in order. */
export class Gate {
  private running = 0;
  private readonly waiting: (() => void)[] = [];

  constructor(private width: number) {}

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
    if (this.running < this.width) this.waiting.shift()?.();
  }

  /** Those who run stay; a wider gate lets in who waits. */
  resize(width: number): void {
    const more = width - Math.max(this.width, this.running);
    this.width = width;
    for (let i = 0; i < more; i++) this.waiting.shift()?.();
  }
}
