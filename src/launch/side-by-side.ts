/**
 * Runs effects at the same time, and waits for all of them, so that none is under way when the start unwinds. Each gets a
 * signal that aborts with `signal`, and when another effect has failed. Gives their results in the order of `effects`;
 * throws the first failure in time, never what an effect says that was ended because of it. A failure that `endsOthers`
 * denies leaves the others alone, and is thrown only where no other failure follows.
 */
export async function sideBySide<Result>(
  effects: readonly ((signal: AbortSignal) => Promise<Result>)[],
  signal: AbortSignal,
  endsOthers: (error: unknown) => boolean = () => true,
): Promise<Result[]> {
  const failed = new AbortController();
  const each = AbortSignal.any([signal, failed.signal]);
  const ending: unknown[] = [];
  const lesser: unknown[] = [];
  const results = await Promise.all(
    effects.map(async (effect): Promise<readonly { readonly value: Result }[]> => {
      try {
        return [{ value: await effect(each) }];
      } catch (error) {
        const ends = endsOthers(error);
        (ends ? ending : lesser).push(error);
        if (ends) failed.abort(error);
        return [];
      }
    }),
  );
  const failures = [...ending, ...lesser];
  if (failures.length > 0) throw failures[0];
  return results.flat().map(({ value }) => value);
}
