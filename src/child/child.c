/*
 * The early child: waits on descriptor 3 for a command line, an environment and descriptors, and becomes that program.
 * The message is described in protocol.ts. Nothing is trusted that has not been checked: every count and length is
 * compared with what has arrived. Other modes: `vmspawn-child kvm-probe [DEVICE]` tries KVM (kvm-probe.h),
 * `vmspawn-child leader PID` stands for a machine (leader.h), `vmspawn-child stop PATH` powers one off (stop.h).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_close_range
#define SYS_close_range 436 /* the same on every architecture */
#endif

#include "kvm-probe.h"
#include "leader.h"
#include "stop.h"

enum { EXECUTING, READING, DESCRIPTORS, LIMITS, EXECVE };
enum { MAXIMUM_LENGTH = 4 << 20, MAXIMUM_WORDS = 65536, MAXIMUM_TARGETS = 1000, MAXIMUM_TARGET = 65535 };
enum { SESSION = 1 };
#define KEEP UINT64_MAX
#define INFINITE (UINT64_MAX - 1)

struct request {
  uint32_t magic, version, length, flags, argc, envc, targets, zero;
  uint64_t soft, hard;
};

static int channel = 3;
static int received[MAXIMUM_TARGETS];
static uint32_t received_count;

static void answer(uint32_t stage, int error) {
  uint32_t words[3] = {0, stage, (uint32_t)error};
  memcpy(words, "VMSA", 4);
  if (send(channel, words, sizeof words, MSG_NOSIGNAL) < 0) return; /* nobody is left to be told */
}

static void fail(uint32_t stage, int error) {
  answer(stage, error);
  _exit(stage == EXECVE && error == ENOENT ? 127 : 126);
}

static void gone(void) {
  static const char text[] = "vmspawn-child: the supervisor went away before the hand-over\n";
  if (write(2, text, sizeof text - 1) < 0) _exit(125); /* so did the reader of standard error */
  _exit(125);
}

/* Receives exactly `length` bytes, and the descriptors that come with them. */
static void receive(char *into, size_t length) {
  while (length > 0) {
    union {
      struct cmsghdr align;
      char space[CMSG_SPACE(253 * sizeof(int))];
    } control;
    struct iovec vector = {into, length};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    message.msg_control = &control;
    message.msg_controllen = sizeof control;
    ssize_t got = recvmsg(channel, &message, MSG_CMSG_CLOEXEC);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno != ECONNRESET) fail(READING, errno);
    if (got <= 0) gone();
    if (message.msg_flags & MSG_CTRUNC) fail(DESCRIPTORS, EMFILE);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c != NULL; c = CMSG_NXTHDR(&message, c)) {
      if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
      size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      if (count > MAXIMUM_TARGETS - received_count) fail(READING, E2BIG);
      memcpy(received + received_count, CMSG_DATA(c), count * sizeof(int));
      received_count += count;
    }
    into += got;
    length -= (size_t)got;
  }
}

static void place_descriptors(const uint32_t *targets, uint32_t count) {
  int base = 4;
  for (uint32_t i = 0; i < count; i++)
    if ((int)targets[i] >= base) base = (int)targets[i] + 1;
  /* First everything out of the way, then each to its place: a target may be the number that another one has now. */
  int moved = fcntl(channel, F_DUPFD_CLOEXEC, base);
  if (moved < 0) fail(DESCRIPTORS, errno);
  channel = moved;
  for (uint32_t i = 0; i < count; i++) {
    received[i] = fcntl(received[i], F_DUPFD_CLOEXEC, base);
    if (received[i] < 0) fail(DESCRIPTORS, errno == EINVAL ? EMFILE : errno);
  }
  /* What we inherited by accident goes away at the execve. Kernels before 5.11 want it one by one. */
  if (syscall(SYS_close_range, 3, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */) < 0) {
    long limit = sysconf(_SC_OPEN_MAX);
    for (int fd = 3; fd < limit && fd < 1 << 20; fd++) fcntl(fd, F_SETFD, FD_CLOEXEC);
  }
  for (uint32_t i = 0; i < count; i++)
    if (dup2(received[i], (int)targets[i]) < 0) fail(DESCRIPTORS, errno);
}

static void set_limit(const struct request *request) {
  struct rlimit now;
  if (request->soft == KEEP) return;
  if (getrlimit(RLIMIT_NOFILE, &now) < 0) fail(LIMITS, errno);
  rlim_t hard = request->hard >= INFINITE ? RLIM_INFINITY : request->hard;
  rlim_t soft = request->soft == INFINITE ? RLIM_INFINITY : request->soft;
  struct rlimit limit = {.rlim_max = hard < now.rlim_max ? hard : now.rlim_max}; /* only down, without privileges */
  limit.rlim_cur = soft < limit.rlim_max ? soft : limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) < 0) fail(LIMITS, errno);
}

static void terminal_signals(void (*action)(int)) {
  static const int signals[] = {SIGINT, SIGQUIT, SIGHUP, SIGTSTP, SIGPIPE};
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) signal(signals[i], action);
}

int main(int argc, char **argv) {
  if (argc >= 2 && strcmp(argv[1], "kvm-probe") == 0) return kvm_probe(argc > 2 ? argv[2] : "/dev/kvm");
  if (argc == 3 && strcmp(argv[1], "leader") == 0) return leader(atoi(argv[2]));
  if (argc == 3 && strcmp(argv[1], "stop") == 0) return stop(argv[2]);
  if (argc != 2 || atoi(argv[1]) <= 0) {
    fputs("vmspawn-child is started by vmspawn itself\n", stderr);
    return 2;
  }
  terminal_signals(SIG_IGN);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != atoi(argv[1])) gone(); /* it ended before the line above */
  fcntl(channel, F_SETFD, FD_CLOEXEC);
  for (int fd = 0; fd < 3; fd++)
    if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0) fail(DESCRIPTORS, errno);

  struct request request;
  receive((char *)&request, sizeof request);
  if (memcmp(&request.magic, "VMSC", 4) != 0 || request.version != 1 || request.zero != 0 ||
      request.length > MAXIMUM_LENGTH || request.length < sizeof request || request.argc < 1 ||
      request.argc > MAXIMUM_WORDS || request.envc > MAXIMUM_WORDS || request.targets > MAXIMUM_TARGETS ||
      request.targets * 4 > request.length - sizeof request)
    fail(READING, EPROTO);

  size_t length = request.length - sizeof request;
  char *body = malloc(length + 1);
  char **words = calloc((size_t)request.argc + request.envc + 2, sizeof *words);
  if (body == NULL || words == NULL) fail(READING, ENOMEM);
  receive(body, length);
  if (received_count != request.targets) fail(READING, EPROTO);
  const uint32_t *targets = (const uint32_t *)body;
  for (uint32_t i = 0; i < request.targets; i++) {
    if (targets[i] > MAXIMUM_TARGET) fail(READING, EPROTO);
    for (uint32_t k = 0; k < i; k++)
      if (targets[k] == targets[i]) fail(READING, EPROTO);
  }
  char *next = body + request.targets * sizeof *targets, *end = body + length;
  for (uint32_t i = 0; i < request.argc + request.envc; i++) {
    char *nul = memchr(next, 0, (size_t)(end - next));
    if (nul == NULL) fail(READING, EPROTO);
    words[i < request.argc ? i : i + 1] = next; /* a NULL between the two lists */
    next = nul + 1;
  }
  if (next != end || words[0][0] != '/') fail(READING, EPROTO);

  if (request.flags & SESSION) setsid();
  place_descriptors(targets, request.targets);
  set_limit(&request);
  for (int number = 1; number <= SIGRTMAX; number++) signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  answer(EXECUTING, 0);
  execve(words[0], words, words + request.argc + 1);
  fail(EXECVE, errno);
}
