/*
 * The front: stands between a shell and the supervisor of a machine, so that the supervisor can leave the terminal and
 * go on: `vmspawn-front PROGRAM WORDS...` starts the program in its own process group and is, for the shell, that program. It stops, ends
 * and dies as the program does, passes on the signals that are meant for it, and puts a terminal in order that a killed
 * program has left raw.
 *
 * VMSPAWN_FRONT=terminal:FD names the program's end of a socket. From the program come 'l' (it listens: signals that ask for
 * an end go to it as bytes with their numbers from now on), 't' with a text that a NUL ends (to be written to the terminal if
 * the program is killed: what undoes a guest's changes), and 'd' (it has left the terminal: the front ends with status 0).
 * Without bytes, the end of the file tells it that the front is gone.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static pid_t program;
static int channel;
static int listening;
static struct termios modes;
static int flags;
/* A text that does not fit is none. */
static char undo[4096];
static size_t undo_length;

static int start(char **words, const sigset_t *mask, const int *pair) {
  program = fork();
  if (program != 0) return program;
  char value[32];
  snprintf(value, sizeof value, "terminal:%d", pair[1]);
  setenv("VMSPAWN_FRONT", value, 1);
  close(pair[0]);
  sigprocmask(SIG_SETMASK, mask, NULL);
  execvp(words[0], words);
  fprintf(stderr, "vmspawn-front: %s: %s\n", words[0], strerror(errno));
  _exit(errno == ENOENT ? 127 : 126);
}

static void on_byte(char byte) {
  static char text[sizeof undo];
  static size_t length;
  static int in_text;
  if (in_text && byte != 0) {
    if (length < sizeof text) text[length] = byte;
    length++;
  } else if (in_text) {
    in_text = 0;
    undo_length = length <= sizeof text ? length : 0;
    memcpy(undo, text, undo_length);
  } else if (byte == 't') {
    in_text = 1;
    length = 0;
  } else if (byte == 'l') {
    listening = 1;
  } else if (byte == 'd') {
    _exit(0);
  }
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

/* Somebody has killed the program in the middle of its work: modes, flags, and what it wanted undone. */
static void restore_terminal(void) {
  struct termios now = {0};
  pid_t group = tcgetpgrp(0);
  if (tcgetattr(0, &now) < 0 || (group > 0 && group != getpgrp())) return;
  fcntl(0, F_SETFL, flags);
  if (memcmp(&now, &modes, sizeof now) == 0) return;
  /* SIGTTOU is blocked, so that nothing stops us here. What was typed, or told by the terminal, was for the guest. */
  tcflush(0, TCIFLUSH);
  tcsetattr(0, TCSANOW, &modes);
  if (write(1, undo, undo_length) < 0) return;
}

static void follow(int status) {
  if (WIFSTOPPED(status)) {
    raise(SIGSTOP);
    return;
  }
  if (WIFEXITED(status)) _exit(WEXITSTATUS(status));
  if (!WIFSIGNALED(status)) return;
  on_channel();
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
  if (signals < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0 || start(argv + 1, &before, pair) < 0) {
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
