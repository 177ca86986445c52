package sqlitestore

import (
	"syscall"

	"github.com/refrain-dev/refrain"
)

// fileSystems are those that do not keep what SQLite's log needs, by the magic number that statfs(2) gives.
var fileSystems = map[int64]struct {
	grade      refrain.Grade
	name, text string
}{
	0x01021994: {refrain.GradeWarn, "tmpfs", "lives in memory: the store is gone with the machine's power"},
	0x858458f6: {refrain.GradeWarn, "ramfs", "lives in memory: the store is gone with the machine's power"},
	0x6969:     {refrain.GradeFault, "NFS", "SQLite's log needs memory that all processes share: use a local disk"},
	0xff534d42: {refrain.GradeFault, "CIFS", "SQLite's log needs memory that all processes share: use a local disk"},
	0xfe534d42: {refrain.GradeFault, "SMB", "SQLite's log needs memory that all processes share: use a local disk"},
	0x01021997: {refrain.GradeWarn, "9p", "a directory of the host: whether a sync reaches its disk depends on the host"},
	0x65735546: {refrain.GradeWarn, "FUSE", "whether locks and syncs work depends on the program behind it"},
	0x794c7630: {refrain.GradeWarn, "overlayfs", "a container's own layer: it is gone with the container; mount a volume"},
}

func (in *inspector) fileSystem(path string) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(path, &st); err != nil {
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
