package machine

import (
	"fmt"
	"syscall"
)

// fileSystems are those that do not keep what a store needs, by the magic number that statfs(2) gives.
var fileSystems = map[int64]FileSystem{
	0x01021994: {Name: "tmpfs", Trouble: "lives in memory: the store is gone with the machine's power"},
	0x858458f6: {Name: "ramfs", Trouble: "lives in memory: the store is gone with the machine's power"},
	0x6969:     {Name: "NFS", Trouble: "its locks and syncs depend on the server and its mount; use a local disk", Remote: true},
	0xff534d42: {Name: "CIFS", Trouble: "its locks and syncs depend on the server; use a local disk", Remote: true},
	0xfe534d42: {Name: "SMB", Trouble: "its locks and syncs depend on the server; use a local disk", Remote: true},
	0x01021997: {Name: "9p", Trouble: "a directory of the host: whether a sync reaches its disk depends on the host"},
	0x65735546: {Name: "FUSE", Trouble: "whether locks and syncs work depends on the program behind it"},
	0x794c7630: {Name: "overlayfs", Trouble: "a container's own layer: it is gone with the container; mount a volume"},
}

// FileSystemOf returns the file system that the path lies in.
func FileSystemOf(path string) (FileSystem, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(path, &st); err != nil {
		return FileSystem{}, err
	}
	magic := int64(st.Type) & 0xffffffff //nolint:unconvert // it has 32 bits on some machines
	if f, ok := fileSystems[magic]; ok {
		return f, nil
	}
	return FileSystem{Name: fmt.Sprintf("local (type %#x)", magic)}, nil
}
