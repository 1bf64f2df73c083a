/*
 * Whether KVM can run a guest: makes a virtual machine of 64 KiB and one processor, and lets it add two numbers, in real
 * mode, then in long mode with page tables that it changes itself, which is where a KVM without hardware support
 * breaks. Exit status 0; or a reason on standard error as a part of a sentence, with exit status 2 when a guest ran and
 * failed, which it will do again, and 1 for everything else. A guest that spins is ended after a second of processor
 * time. On other architectures than x86 it is only seen whether a machine and a processor can be made.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

static const char *kvm_stage = "it did not start";

static int kvm_unusable(const char *what, const char *detail) {
  fprintf(stderr, "%s%s%s\n", what, detail ? ": " : "", detail ? detail : "");
  return 1;
}

static void kvm_timeout(int number) {
  const char *end = number == SIGPROF ? " and went on and on\n" : " and made no progress\n";
  int status = number == SIGPROF ? 2 : 1; /* a machine under load may need long, but not long by its own clock */
  if (write(2, kvm_stage, strlen(kvm_stage)) < 0 || write(2, end, strlen(end)) < 0) _exit(status);
  _exit(status);
}

#ifdef __x86_64__
enum { KVM_PROBE_MEMORY = 0x10000, KVM_PROBE_CODE = 0x5000 };

/* mov al, bl; add al, cl; out 0x80, al; hlt */
static const uint8_t kvm_real_mode[] = {0x88, 0xd8, 0x00, 0xc8, 0xe6, 0x80, 0xf4};
/*
 * Page 0x8000 is read, mapped to another frame, and read again; out gives twice the sum. SSE2 does the doubling: a KVM
 * that has no hardware to run the guest on (kvm_pvm) emulates the plain instructions one by one, but not these.
 */
static const uint8_t kvm_long_mode[] = {
    0x8a, 0x04, 0x25, 0x00, 0x80, 0x00, 0x00,                               /* mov al, [0x8000] */
    0x48, 0xc7, 0x04, 0x25, 0x40, 0x40, 0x00, 0x00, 0x03, 0x70, 0x00, 0x00, /* mov qword [0x4040], 0x7003 */
    0x0f, 0x01, 0x3c, 0x25, 0x00, 0x80, 0x00, 0x00,                         /* invlpg [0x8000] */
    0x02, 0x04, 0x25, 0x00, 0x80, 0x00, 0x00,                               /* add al, [0x8000] */
    0x66, 0x0f, 0x6e, 0xc0,                                                 /* movd xmm0, eax */
    0x66, 0x0f, 0xfe, 0xc0,                                                 /* paddd xmm0, xmm0 */
    0x66, 0x0f, 0x7e, 0xc0,                                                 /* movd eax, xmm0 */
    0xe6, 0x80,                                                             /* out 0x80, al */
    0xf4,                                                                   /* hlt */
};

static void kvm_enter_long_mode(struct kvm_sregs *s, uint8_t *memory) {
  uint64_t *tables = (uint64_t *)memory;
  tables[0x1000 / 8] = 0x2003; /* levels 4, 3 and 2, each with one entry: present, writable */
  tables[0x2000 / 8] = 0x3003;
  tables[0x3000 / 8] = 0x4003;
  for (uint64_t page = 0; page < 8; page++) tables[0x4000 / 8 + page] = page << 12 | 3;
  tables[0x4000 / 8 + 8] = 0x6003;
  memory[0x6000] = 17;
  memory[0x7000] = 25;
  struct kvm_segment code = {.limit = 0xffffffff, .selector = 8, .type = 11, .present = 1, .s = 1, .l = 1, .g = 1};
  struct kvm_segment data = {.limit = 0xffffffff, .selector = 16, .type = 3, .present = 1, .s = 1, .db = 1, .g = 1};
  s->cs = code;
  s->ds = s->es = s->fs = s->gs = s->ss = data;
  s->cr3 = 0x1000;
  s->cr4 = 0x620;                /* PAE, OSFXSR, OSXMMEXCPT */
  s->cr0 = 0x80010033;           /* PG, WP, NE, ET, MP, PE */
  s->efer = 0x500;               /* LMA, LME */
}

/* Runs to the halt; -1, or what the guest wrote to port 0x80. */
static int kvm_run(int vcpu, struct kvm_run *run, const char **detail) {
  static char text[80];
  int result = -1;
  for (int turn = 0; turn < 100; turn++) {
    if (ioctl(vcpu, KVM_RUN, 0) < 0) {
      *detail = strerror(errno);
      return -1;
    }
    if (run->exit_reason == KVM_EXIT_HLT) {
      if (result < 0) *detail = "it halted without a result";
      return result;
    }
    if (run->exit_reason == KVM_EXIT_IO && run->io.direction == KVM_EXIT_IO_OUT && run->io.port == 0x80) {
      result = *((uint8_t *)run + run->io.data_offset);
      continue;
    }
    snprintf(text, sizeof text, "KVM gave it up with exit reason %u%s", run->exit_reason,
             run->exit_reason == KVM_EXIT_INTERNAL_ERROR ? " (internal error)"
             : run->exit_reason == KVM_EXIT_SHUTDOWN     ? " (shutdown)"
             : run->exit_reason == KVM_EXIT_FAIL_ENTRY   ? " (failed entry)"
                                                         : "");
    *detail = text;
    return -1;
  }
  *detail = "it went round and round";
  return -1;
}

static int kvm_failed(const char *what, const char *detail) {
  kvm_unusable(what, detail ? detail : "wrong result");
  return 2;
}

static int kvm_run_guests(int kvm, int vm, int vcpu) {
  const char *detail = NULL;
  uint8_t *memory = mmap(NULL, KVM_PROBE_MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  int size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
  if (memory == MAP_FAILED || size < (int)sizeof(struct kvm_run)) return kvm_unusable("no memory for it", NULL);
  struct kvm_run *run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
  struct kvm_userspace_memory_region region = {.memory_size = KVM_PROBE_MEMORY, .userspace_addr = (uintptr_t)memory};
  if (run == MAP_FAILED || ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) < 0)
    return kvm_unusable("it could not be given memory", strerror(errno));

  static union {
    struct kvm_cpuid2 list;
    char space[sizeof(struct kvm_cpuid2) + 256 * sizeof(struct kvm_cpuid_entry2)];
  } cpuid;
  cpuid.list.nent = 256;
  if (ioctl(kvm, KVM_GET_SUPPORTED_CPUID, &cpuid) < 0 || ioctl(vcpu, KVM_SET_CPUID2, &cpuid) < 0)
    return kvm_unusable("it could not be given a processor model", strerror(errno));

  kvm_stage = "it started in real mode";
  struct kvm_sregs special;
  struct kvm_regs registers = {.rip = KVM_PROBE_CODE, .rflags = 2, .rbx = 40, .rcx = 2};
  if (ioctl(vcpu, KVM_GET_SREGS, &special) < 0) return kvm_unusable("no registers", strerror(errno));
  special.cs.base = special.cs.selector = 0;
  memcpy(memory + KVM_PROBE_CODE, kvm_real_mode, sizeof kvm_real_mode);
  if (ioctl(vcpu, KVM_SET_SREGS, &special) < 0 || ioctl(vcpu, KVM_SET_REGS, &registers) < 0)
    return kvm_unusable("registers for real mode were refused", strerror(errno));
  int result = kvm_run(vcpu, run, &detail);
  if (result != 42) return kvm_failed("it failed in real mode", detail);

  kvm_stage = "it entered long mode";
  kvm_enter_long_mode(&special, memory);
  memcpy(memory + KVM_PROBE_CODE, kvm_long_mode, sizeof kvm_long_mode);
  if (ioctl(vcpu, KVM_SET_SREGS, &special) < 0 || ioctl(vcpu, KVM_SET_REGS, &registers) < 0)
    return kvm_unusable("registers for long mode were refused", strerror(errno));
  result = kvm_run(vcpu, run, &detail);
  if (result != 84) return kvm_failed("it failed in long mode", detail);
  return 0;
}
#else
static int kvm_run_guests(int kvm, int vm, int vcpu) {
  (void)kvm, (void)vm, (void)vcpu;
  return 0;
}
#endif

static int kvm_probe(const char *device) {
  /* A number is a descriptor that is open already. */
  int kvm = *device >= '0' && *device <= '9' ? atoi(device) : open(device, O_RDWR | O_CLOEXEC);
  if (kvm < 0) return kvm_unusable("the device cannot be opened", strerror(errno));
  if (ioctl(kvm, KVM_GET_API_VERSION, 0) != 12) return kvm_unusable("the device does not speak KVM's API 12", NULL);
  struct itimerval second = {.it_value = {.tv_sec = 1}};
  signal(SIGALRM, kvm_timeout);
  signal(SIGPROF, kvm_timeout);
  alarm(5);
  setitimer(ITIMER_PROF, &second, NULL);
  int vm = ioctl(kvm, KVM_CREATE_VM, 0);
  if (vm < 0) return kvm_unusable("no machine can be made", strerror(errno));
#ifdef __x86_64__
  ioctl(vm, KVM_SET_TSS_ADDR, 0xfffbd000); /* Intel wants it for real mode; elsewhere it fails, which is no matter */
#endif
  int vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
  if (vcpu < 0) return kvm_unusable("no processor can be made", strerror(errno));
  return kvm_run_guests(kvm, vm, vcpu);
}
