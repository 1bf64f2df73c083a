/*
 * What the guard of a machine does when it is stopped: asks the supervisor, on its Varlink socket, to power the machine
 * off, and waits until it hangs up, which it does when the machine is gone. A machine that is gone already is no failure.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int stop_failed(const char *path, const char *reason) {
  fprintf(stderr, "vmspawn-child: the machine's control socket %s: %s\n", path, reason);
  return 1;
}

static int stop(const char *path) {
  /* The final NUL of the string is the end of the message. */
  static const char call[] = "{\"method\":\"io.systemd.MachineInstance.PowerOff\",\"parameters\":{}}";
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  size_t length = strlen(path);
  if (length == 0) return stop_failed(path, "an empty path");
  if (length >= sizeof address.sun_path) return stop_failed(path, "the path is longer than 107 bytes");
  memcpy(address.sun_path, path, length);

  int control = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (control < 0) return stop_failed(path, strerror(errno));
  if (connect(control, (struct sockaddr *)&address, sizeof address) < 0)
    return errno == ENOENT || errno == ECONNREFUSED ? 0 : stop_failed(path, strerror(errno));
  for (size_t sent = 0; sent < sizeof call;) {
    ssize_t more = send(control, call + sent, sizeof call - sent, MSG_NOSIGNAL);
    if (more >= 0) sent += (size_t)more;
    else if (errno == EPIPE || errno == ECONNRESET) return 0;
    else if (errno != EINTR) return stop_failed(path, strerror(errno));
  }
  for (;;) {
    char answer[256];
    ssize_t length = read(control, answer, sizeof answer);
    if (length == 0 || (length < 0 && errno == ECONNRESET)) return 0;
    if (length < 0 && errno != EINTR) return stop_failed(path, strerror(errno));
  }
}
