/** A run of the small guest whose console is read and written; Run and TestbedProcess are such. */
export interface Console {
  readonly stdout: string;
  seen(pattern: RegExp, from?: number): Promise<number>;
  type(line: string): void;
}

/**
 * A shell in the small guest, which runs until the end of the machine: waits for the guest and gives a function that
 * runs a command and returns what it printed. `poweroff -f` ends the machine.
 */
export async function smallShell(run: Console): Promise<(command: string) => Promise<string>> {
  let from = await run.seen(/vmspawn-small: ready/);
  run.type('sh');
  // What is typed before it reads would be taken from it.
  from = await run.seen(/# /, from);
  let count = 0;
  return async (command) => {
    count++;
    // In two parts, so that the echo of what is typed is not taken for the end.
    run.type(`echo BEG''IN-${count}; { ${command}; } 2>&1; echo EN''D-${count}`);
    const start = await run.seen(new RegExp(`BEGIN-${count}\r\n`), from);
    from = await run.seen(new RegExp(`END-${count}\r\n`), start);
    return run.stdout
      .slice(start, from)
      .replace(/END-\d+\r\n$/, '')
      .replaceAll('\r', '');
  };
}
