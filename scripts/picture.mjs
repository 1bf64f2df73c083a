// Draws man/console.svg, the picture in README: a session with the Debian guest in a terminal, from the terminal's own
// idea of its cells (xterm's headless build). Usage: node scripts/picture.mjs, after npm run build; needs no KVM.
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { spawn } from '@lydell/node-pty';
import headless from '@xterm/headless';

const columns = 100;
const rows = 30;
const image = execFileSync('test/guest/build-debian', { encoding: 'utf8' }).trim();
const terminal = new headless.Terminal({ cols: columns, rows, allowProposedApi: true });
const environment = { ...process.env, TERM: 'xterm-256color', PS1: '$ ' };
delete environment.NO_COLOR;
const pty = spawn('sh', [], { cols: columns, rows, env: environment, name: 'xterm-256color' });
pty.onData((text) => {
  terminal.write(text);
  // What a terminal with a dark window answers when it is asked for its background.
  if (text.includes('\x1b]11;?')) pty.write('\x1b]11;rgb:1010/1010/1818\x1b\\');
  if (text.includes('\x1b[c')) pty.write('\x1b[?62;22c');
});

const screen = () => {
  const buffer = terminal.buffer.active;
  return Array.from({ length: rows }, (_, row) => buffer.getLine(buffer.viewportY + row));
};
const seen = async (pattern) => {
  for (;;) {
    if (
      pattern.test(
        screen()
          .map((line) => line.translateToString(true))
          .join('\n'),
      )
    )
      return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
};

await seen(/\$ $/m);
pty.write(`PATH=$PWD/bin:$PATH; cd ${image.replace(/[^/]*$/, '')}; ln -sf ${image} debian.raw; clear\r`);
await seen(/^\$ $/m);
pty.write('vmspawn --image=debian.raw --ephemeral --machine=debian --ram=1G\r');
await seen(/debian login: /);
pty.write('root\r');
await seen(/Password: /);
pty.write('vmspawn\r');
await seen(/root@debian:~# /);
pty.write('clear\r');
await seen(/^root@debian:~# *$/m);
for (const line of [
  'systemd-detect-virt',
  'lsblk --output=NAME,SIZE,TYPE,MOUNTPOINTS',
  'ls --color /',
  'stty size',
]) {
  pty.write(`${line}\r`);
  await new Promise((resolve) => setTimeout(resolve, 3000));
}
pty.write('\x1d\x1dd');
await seen(/Detached from machine debian/);
pty.write('vmspawnctl console-log debian | grep -a -c .\r');
await seen(/^\d+$/m);
writeFileSync('man/console.svg', draw(screen()));
pty.write('vmspawnctl attach debian\r');
await seen(/Attached to/);
await new Promise((resolve) => setTimeout(resolve, 3000));
pty.write('\x1d\x1d\x1d');
await seen(/has ended/);
pty.kill();
process.exit(0);

function draw(lines) {
  const [width, height, margin] = [8.4, 17, 14];
  const parts = [];
  for (const [row, line] of lines.entries()) {
    const y = margin + row * height;
    for (const run of runs(line)) {
      const x = (margin + run.start * width).toFixed(1);
      if (run.background !== null) {
        parts.push(
          `<rect x="${x}" y="${y}" width="${(run.text.length * width + 0.3).toFixed(1)}" height="${height + 0.3}" fill="${run.background}"/>`,
        );
      }
      if (run.text.trim() === '') continue;
      const style = `${run.bold ? ' font-weight="bold"' : ''}${run.dim ? ' opacity="0.6"' : ''}`;
      const length = (run.text.length * width).toFixed(1);
      parts.push(
        `<text x="${x}" y="${y + 13}" fill="${run.colour}" textLength="${length}" xml:space="preserve"${style}>${escaped(run.text)}</text>`,
      );
    }
  }
  const [w, h] = [columns * width + 2 * margin, rows * height + 2 * margin].map(Math.ceil);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${w} ${h}" font-family="ui-monospace, DejaVu Sans Mono, Menlo, monospace" font-size="14">
<title>vmspawn boots a Debian image in a terminal; the guest's console is tinted</title>
<rect width="${w}" height="${h}" rx="8" fill="#101018"/>
${parts.join('\n')}
</svg>
`;
}

/** The cells of a line, those that look the same together. */
function runs(line) {
  const result = [];
  for (let column = 0; column < columns; column += 1) {
    const cell = line.getCell(column);
    const look = {
      background: colourOf(cell, 'Bg'),
      colour: colourOf(cell, 'Fg') ?? '#d8d8d8',
      bold: cell.isBold() !== 0,
      dim: cell.isDim() !== 0,
    };
    const text = cell.getChars() || ' ';
    const last = result.at(-1);
    if (last !== undefined && Object.entries(look).every(([name, value]) => last[name] === value))
      last.text += text;
    else result.push({ start: column, text, ...look });
  }
  return result;
}

function colourOf(cell, which) {
  const value = cell[`get${which}Color`]();
  if (cell[`is${which}RGB`]()) return `#${value.toString(16).padStart(6, '0')}`;
  if (!cell[`is${which}Palette`]()) return null;
  const names =
    '#1c1c1c #d75f5f #87af5f #d7af5f #5f87d7 #af87d7 #5fafaf #d8d8d8 #6c6c6c #ff8787 #afd787 #ffd787 #87afff #d7afff #87d7d7 #ffffff';
  return names.split(' ')[value] ?? '#d8d8d8';
}

function escaped(text) {
  return text.replace(/[&<>]/g, (character) => `&#${character.charCodeAt(0)};`);
}
