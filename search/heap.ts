/** Binary heap over any order: `peek` is an item that goes before all others.
 *  O(log n) push and pop; equal items come out in no stated order, so give `goesBefore` a
 *  total order where that matters. */
export class Heap<T> {
  private readonly items: T[] = [];

  constructor(private readonly goesBefore: (a: T, b: T) => boolean) {}

  get size(): number {
    return this.items.length;
  }

  peek(): T | undefined {
    return this.items[0];
  }

  push(item: T): void {
    const { items } = this;
    let at = items.push(item) - 1;
    while (at > 0) {
      const up = (at - 1) >> 1;
      const above = items[up] as T;
      if (!this.goesBefore(item, above)) break;
      items[at] = above;
      at = up;
    }
    items[at] = item;
  }

  pop(): T | undefined {
    const { items } = this;
    const first = items[0];
    const moved = items.pop();
    if (moved !== undefined && items.length > 0) this.sink(moved);
    return first;
  }

  /** Puts `moved` where the root was and lets it sink to its place. */
  private sink(moved: T): void {
    const { items } = this;
    let at = 0;
    for (;;) {
      let down = 2 * at + 1;
      if (down >= items.length) break;
      const right = down + 1;
      if (right < items.length && this.goesBefore(items[right] as T, items[down] as T)) {
        down = right;
      }
      const below = items[down] as T;
      if (!this.goesBefore(below, moved)) break;
      items[at] = below;
      at = down;
    }
    items[at] = moved;
  }
}
