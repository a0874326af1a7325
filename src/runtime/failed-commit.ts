/** What lmdb rejects all promises of a failed transaction with. It rejects one of its own too, which
 *  nobody can wait for: a program that must not die of it has to let that one pass. */
export function isFailedCommit(error: unknown): error is Error & { commitError: Promise<never> } {
  return error instanceof Error && 'commitError' in error && error.commitError instanceof Promise;
}
