/*
 * The leader of a machine: tells the supervisor, on descriptor 3, the number of each signal it gets as one byte, after a
 * byte 0 that says that it is ready to. Ends with 0 when the supervisor closes its side, and dies with the supervisor.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

static int leader_failed(const char *what) {
  fprintf(stderr, "vmspawn-child: %s: %s\n", what, strerror(errno));
  return 1;
}

/* Whoever does not read for so long that the socket is full has enough signals to work on: no waiting. */
static int leader_tell(uint8_t number) {
  if (send(3, &number, 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1 || errno == EAGAIN) return 1;
  return errno == EPIPE || errno == ECONNRESET ? 0 : -1;
}

static int leader(pid_t supervisor) {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, NULL);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != supervisor) return 0; /* it ended before the line above */
  prctl(PR_SET_NAME, "vmspawn-leader");
  setsid(); /* away from the signals of the supervisor's terminal */
  if (syscall(SYS_close_range, 4, ~0U, 0) < 0) {
    long limit = sysconf(_SC_OPEN_MAX);
    for (int fd = 4; fd < limit && fd < 1 << 20; fd++) close(fd);
  }
  int signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals < 0) return leader_failed("signalfd");

  int told = leader_tell(0);
  while (told > 0) {
    struct pollfd watched[] = {{.fd = signals, .events = POLLIN}, {.fd = 3, .events = POLLRDHUP}};
    if (poll(watched, 2, -1) < 0) {
      if (errno == EINTR) continue;
      return leader_failed("poll");
    }
    if (watched[1].revents != 0) return 0;
    struct signalfd_siginfo info;
    if (read(signals, &info, sizeof info) == sizeof info) told = leader_tell((uint8_t)info.ssi_signo);
  }
  return told == 0 ? 0 : leader_failed("descriptor 3");
}
