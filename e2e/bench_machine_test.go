//go:build e2e

package e2e

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// describeMachine says what the figures were measured on, and how the disk
// syncs, as every figure about durability depends on it.
func describeMachine(b *testing.B, servers string) []string {
	folder := b.TempDir()
	syncs := syncsDuring(b, folder, time.Millisecond, func() { <-time.After(time.Second) })
	return []string{
		fmt.Sprintf("machine: %s, %d cores, %s of memory; %s", processorName(), runtime.NumCPU(), memorySize(), kernelName()),
		fmt.Sprintf("folder: %s; fdatasync of %d bytes p50 %s, p99 %s", fileSystem(folder), probeBytes, milliText(percentile(syncs, 50)), milliText(percentile(syncs, 99))),
		fmt.Sprintf("server: %s with fsync off, on the same machine; the log always syncs", servers),
		fmt.Sprintf("build: %s %s, commit %s", runtime.Version(), runtime.GOARCH, treeCommit()),
	}
}

func processorName() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func memorySize() string {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return "an unknown amount"
	}
	return sizeText(float64(info.Totalram) * float64(info.Unit))
}

func kernelName() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return runtime.GOOS
	}
	return unix.ByteSliceToString(u.Sysname[:]) + " " + unix.ByteSliceToString(u.Release[:])
}

// fileSystem names the file system of a folder: on one in memory a sync costs
// nothing, and says nothing.
func fileSystem(dir string) string {
	names := map[int64]string{
		unix.EXT4_SUPER_MAGIC: "ext4", unix.XFS_SUPER_MAGIC: "xfs", unix.BTRFS_SUPER_MAGIC: "btrfs",
		unix.TMPFS_MAGIC: "tmpfs (in memory)", unix.OVERLAYFS_SUPER_MAGIC: "overlayfs",
	}
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return "an unknown file system"
	}
	return cmp.Or(names[st.Type], fmt.Sprintf("file system %#x", st.Type))
}

// treeCommit is the revision of the tree, and whether it was changed since.
func treeCommit() string {
	out, err := exec.Command("git", "describe", "--always", "--dirty").Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

// probeBytes is the size of the writes that the disk is probed with: that of a
// frame with one transaction of one row.
const probeBytes = 256

// probeSyncsMax bounds the syncs of one probe, and so the space that it takes.
const probeSyncsMax = 20_000

// probeSyncs measures small writes with a pause before each, made durable one by
// one, into a file whose space is reserved, as the log's are, until stop is
// closed. They come back in order of size. The pause matters: a disk that rests
// is slower to answer.
func probeSyncs(dir string, pause time.Duration, stop <-chan struct{}) (took []time.Duration, err error) {
	f, err := os.Create(filepath.Join(dir, "probe"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	if err := unix.Fallocate(int(f.Fd()), 0, 0, probeSyncsMax*probeBytes); err != nil {
		return nil, fmt.Errorf("reserve space for the probe: %w", err)
	}
	if err := f.Sync(); err != nil {
		return nil, err
	}
	ticks := time.NewTicker(pause)
	defer ticks.Stop()
	for len(took) < probeSyncsMax {
		select {
		case <-ticks.C:
		case <-stop:
			slices.Sort(took)
			return took, nil
		}
		buf := make([]byte, probeBytes)
		buf[0] = byte(len(took)) + 1
		began := time.Now()
		if _, err := f.WriteAt(buf, int64(len(took))*probeBytes); err != nil {
			return nil, err
		}
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			return nil, err
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	return took, nil
}

// syncsDuring measures syncs in a folder while f runs.
func syncsDuring(b *testing.B, dir string, pause time.Duration, f func()) []time.Duration {
	b.Helper()
	stop := make(chan struct{})
	var took []time.Duration
	var group errgroup.Group
	group.Go(func() (err error) {
		took, err = probeSyncs(dir, pause, stop)
		return err
	})
	f()
	close(stop)
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
	if len(took) == 0 {
		b.Fatal("not one sync was measured")
	}
	return took
}

// percentile of values in order, by the nearest rank.
func percentile[T any](sorted []T, p int) T {
	rank := (len(sorted)*p + 99) / 100
	return sorted[max(rank, 1)-1]
}

// median of values in any order.
func median[T cmp.Ordered](values []T) T {
	return percentile(slices.Sorted(slices.Values(values)), 50)
}

// cpuOfSelf is the processor time that this process has used.
func cpuOfSelf(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// peakRSS is the most memory that a running process has had resident, in bytes.
func peakRSS(b testing.TB, pid int) float64 {
	b.Helper()
	peak, err := readPeakRSS(pid)
	if err != nil {
		b.Fatal(err)
	}
	return peak
}

func readPeakRSS(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "VmHWM:" {
			continue
		}
		kib, err := strconv.ParseFloat(fields[1], 64)
		return kib * 1024, err
	}
	return 0, errors.New("the process has no VmHWM")
}

// watchPeakRSS reads the peak of a process until stop is closed, as a process
// that has ended does not tell it: what the kernel then says of its memory
// includes that of its parent from before it was another program.
func watchPeakRSS(pid int, stop <-chan struct{}) (peak float64) {
	ticks := time.NewTicker(peakPause)
	defer ticks.Stop()
	for {
		if now, err := readPeakRSS(pid); err == nil {
			peak = now
		}
		select {
		case <-ticks.C:
		case <-stop:
			return peak
		}
	}
}

// peakPause is the time between two looks at a peak.
const peakPause = 10 * time.Millisecond

// awaitFor calls f every few milliseconds until it reports true, and ends the
// benchmark when that takes too long.
func awaitFor(b *testing.B, what string, limit time.Duration, f func() bool) {
	b.Helper()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(awaitPause)
	defer tick.Stop()
	for !f() {
		select {
		case <-tick.C:
		case <-deadline.C:
			b.Fatalf("waited %v in vain until %s", limit, what)
		}
	}
}

const awaitPause = 3 * time.Millisecond
