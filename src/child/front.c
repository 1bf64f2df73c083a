/*
 * The front: stands between a shell and the supervisor of a machine, so that the supervisor can leave the terminal and
 * go on: `vmspawn-front PROGRAM WORDS...` starts the program in its own process group and is, for the shell, that program. It stops, ends
 * and dies as the program does, passes on the signals that are meant for it, and puts a terminal in order that a killed
 * program has left raw.
 *
 * VMSPAWN_FRONT=terminal:SOCKET:FILE names the program's end of a socket, and a file, which may be missing. Over the socket come 'l' (it listens:
 * signals that ask for an end go to it as bytes with their numbers from now on) and 'd' (it has left the terminal: the front
 * ends with status 0). Without bytes, the end of the file tells it that the front is gone. At the beginning of the file, which
 * never makes it wait, the program keeps what is to be done if it is killed: how many milliseconds the terminal has for the last
 * of its answers, a line feed, what undoes a guest's changes to the terminal, and a NUL.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U
#endif

static pid_t program;
static int channel;
static int listening;
static struct termios modes;
static int flags;
static int file;

/* -1 where none is to be had, for lack of room or by a filter of system calls: then nothing but the modes is put back. */
static int undo_file(void) {
  /* Kernels from 6.3 on want to be told that it holds no program, and may refuse otherwise (vm.memfd_noexec). */
  int made = memfd_create("undo", MFD_NOEXEC_SEAL);
  return made < 0 && errno == EINVAL ? memfd_create("undo", 0) : made;
}

static int start(char **words, const sigset_t *mask, const int *pair) {
  program = fork();
  if (program != 0) return program;
  char value[64];
  if (file < 0) snprintf(value, sizeof value, "terminal:%d", pair[1]);
  else snprintf(value, sizeof value, "terminal:%d:%d", pair[1], file);
  setenv("VMSPAWN_FRONT", value, 1);
  close(pair[0]);
  sigprocmask(SIG_SETMASK, mask, NULL);
  execvp(words[0], words);
  fprintf(stderr, "vmspawn-front: %s: %s\n", words[0], strerror(errno));
  _exit(errno == ENOENT ? 127 : 126);
}

static void on_byte(char byte) {
  if (byte == 'l') listening = 1;
  if (byte == 'd') _exit(0);
}

/* False at the end of the file: the program has closed its end, and SIGCHLD follows. */
static int on_channel(void) {
  char bytes[512];
  for (;;) {
    ssize_t length = recv(channel, bytes, sizeof bytes, MSG_DONTWAIT);
    if (length < 0) return errno == EAGAIN || errno == EINTR;
    if (length == 0) return 0;
    for (ssize_t at = 0; at < length; at++) on_byte(bytes[at]);
  }
}

static long long now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000LL + time.tv_nsec / 1000000;
}

/* How much of the two last answers is here when this byte is: 8 for all, `ESC [ ? 0-9; c ESC [ 0 n`. */
static int matched(int before, char byte) {
  switch (before) {
    case 1:
      return byte == '[' ? 2 : byte == 27;
    case 2:
      return byte == '?' ? 3 : byte == 27;
    case 3:
      return (byte >= '0' && byte <= '9') || byte == ';' ? 3 : byte == 'c' ? 4 : byte == 27;
    case 4:
      return byte == 27 ? 5 : 0;
    case 5:
      return byte == '[' ? 6 : byte == 27;
    case 6:
      return byte == '0' || byte == '3' ? 7 : byte == '?' ? 3 : byte == 27;
    case 7:
      return byte == 'n' ? 8 : byte == 27;
    default:
      return byte == 27;
  }
}

/*
 * What the terminal still answers or reports would be typed into the shell. Asks two more questions (DA1, DSR 5), which every terminal
 * answers in its turn, and drops what comes until then, or for so many milliseconds. The terminal is raw.
 */
static void drop_answers(long long time) {
  if (write(1, "\033[c\033[5n", 7) < 0) return;
  long long end = now() + time;
  struct pollfd input = {.fd = 0, .events = POLLIN};
  for (int match = 0; match < 8;) {
    long long left = end - now();
    char byte;
    if (left <= 0 || poll(&input, 1, (int)left) <= 0 || read(0, &byte, 1) != 1) return;
    match = matched(match, byte);
  }
}

/* Somebody has killed the program in the middle of its work: modes, flags, and what it wanted undone. */
static void restore_terminal(void) {
  struct termios raw = {0};
  pid_t group = tcgetpgrp(0);
  if (tcgetattr(0, &raw) < 0 || (group > 0 && group != getpgrp())) return;
  fcntl(0, F_SETFL, flags);
  if (memcmp(&raw, &modes, sizeof raw) == 0) return;
  char words[4096];
  ssize_t length = pread(file, words, sizeof words, 0);
  /* A text that does not fit is none. */
  char *end = length > 0 ? memchr(words, 0, length) : NULL;
  char *undo = end != NULL ? strchr(words, '\n') : NULL;
  int some = undo != NULL && undo + 1 < end;
  /* SIGTTOU is blocked, so that nothing stops us here. What was typed, or told by the terminal, was for the guest. */
  tcflush(0, TCIFLUSH);
  if (some) {
    cfmakeraw(&raw);
    tcsetattr(0, TCSANOW, &raw);
    if (write(1, undo + 1, end - undo - 1) >= 0) drop_answers(strtoll(words, NULL, 10));
    tcflush(0, TCIFLUSH);
  }
  tcsetattr(0, TCSANOW, &modes);
}

static void follow(int status) {
  if (WIFSTOPPED(status)) {
    raise(SIGSTOP);
    return;
  }
  if (WIFEXITED(status)) _exit(WEXITSTATUS(status));
  if (!WIFSIGNALED(status)) return;
  int number = WTERMSIG(status);
  restore_terminal();
  static const struct rlimit none = {0, 0}; /* the program's core is the one to look at */
  setrlimit(RLIMIT_CORE, &none);
  sigset_t one;
  sigemptyset(&one);
  sigaddset(&one, number);
  signal(number, SIG_DFL);
  raise(number);
  sigprocmask(SIG_UNBLOCK, &one, NULL);
  _exit(128 + number);
}

static void on_signal(const struct signalfd_siginfo *info) {
  int number = (int)info->ssi_signo;
  /* What the kernel sends for a key goes to the whole group, and so to the program already; what a process sends may not. */
  int from_process = info->ssi_code <= 0;
  char byte = (char)number;
  switch (number) {
    case SIGCHLD:
      for (int status; waitpid(program, &status, WUNTRACED | WNOHANG) == program;) follow(status);
      break;
    case SIGHUP: /* the kernel's is for the leader of the session alone, which may be us */
    case SIGTERM:
    case SIGINT:
    case SIGQUIT:
      if (number != SIGHUP && !from_process) break;
      if (!listening || send(channel, &byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT) != 1) kill(program, number);
      break;
    case SIGTSTP:
    case SIGUSR1:
    case SIGUSR2:
      if (from_process) kill(program, number);
      break;
    case SIGCONT: /* has woken us although it is blocked */
      kill(program, SIGCONT);
      break;
  }
}

int main(int argc, char **argv) {
  if (argc < 2) {
    fputs("vmspawn-front is started by vmspawn itself\n", stderr);
    return 2;
  }
  /* Who starts us may not care for children: theirs, and then ours, end without a word (sigaction(2)). */
  signal(SIGCHLD, SIG_DFL);
  sigset_t all, before;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &before);
  tcgetattr(0, &modes);
  flags = fcntl(0, F_GETFL);
  int pair[2];
  int signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
  int ready = signals >= 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0;
  file = ready ? undo_file() : -1;
  if (!ready || start(argv + 1, &before, pair) < 0) {
    /* No room for one more process or descriptor: without us, then. */
    sigprocmask(SIG_SETMASK, &before, NULL);
    execvp(argv[1], argv + 1);
    perror(argv[1]);
    return 126;
  }
  close(pair[1]);
  channel = pair[0];
  fcntl(channel, F_SETFD, FD_CLOEXEC);

  struct pollfd waiting[2] = {{.fd = signals, .events = POLLIN}, {.fd = channel, .events = POLLIN}};
  for (;;) {
    if (poll(waiting, 2, -1) < 0) continue;
    if (waiting[1].revents != 0 && !on_channel()) waiting[1].fd = -1;
    struct signalfd_siginfo info;
    while (read(signals, &info, sizeof info) == sizeof info) on_signal(&info);
  }
}
