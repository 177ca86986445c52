package audit

import (
	"os"
	"syscall"

	"github.com/refrain-dev/refrain"
)

// fileSystems are those that do not keep what a store needs, by the magic number that statfs(2) gives.
var fileSystems = map[int64]struct {
	grade      refrain.Grade
	name, text string
}{
	0x01021994: {refrain.GradeWarn, "tmpfs", "lives in memory: the store is gone with the machine's power"},
	0x858458f6: {refrain.GradeWarn, "ramfs", "lives in memory: the store is gone with the machine's power"},
	0x6969:     {refrain.GradeWarn, "NFS", "its locks and syncs depend on the server and on mount options; use a local disk"},
	0xff534d42: {refrain.GradeWarn, "CIFS", "its locks and syncs depend on the server; use a local disk"},
	0xfe534d42: {refrain.GradeWarn, "SMB", "its locks and syncs depend on the server; use a local disk"},
	0x01021997: {refrain.GradeWarn, "9p", "a directory of the host: whether a sync reaches its disk depends on the host"},
	0x65735546: {refrain.GradeWarn, "FUSE", "whether a sync reaches a disk depends on the program behind it"},
	0x794c7630: {refrain.GradeWarn, "overlayfs", "a container's own layer: it is gone with the container; mount a volume"},
}

func (in *inspector) fileSystem(dir string) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		in.say(refrain.GradeWarn, "file system", "cannot be told: %v", err)
		return
	}
	magic := int64(st.Type) & 0xffffffff //nolint:unconvert // it has 32 bits on some machines
	if f, ok := fileSystems[magic]; ok {
		in.say(f.grade, "file system", "%s: %s", f.name, f.text)
		return
	}
	in.say(refrain.GradeOK, "file system", "local (type %#x)", magic)
}

func freeBytes(dir string) (int64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * int64(st.Bsize), nil //nolint:unconvert // 32 bits on some machines
}

// locked reports whether a process holds the lock of the file, and which; zero if that is in another container. It asks
// without taking the lock.
func locked(name string) (held bool, pid int, err error) {
	f, err := os.Open(name)
	if err != nil {
		return false, 0, err
	}
	defer f.Close()
	lk := syscall.Flock_t{Type: syscall.F_RDLCK}
	if err := syscall.FcntlFlock(f.Fd(), syscall.F_GETLK, &lk); err != nil {
		return false, 0, err
	}
	return lk.Type != syscall.F_UNLCK, int(lk.Pid), nil
}
