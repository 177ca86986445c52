package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// A Missing is the error that says that a program is not on this machine and could not be installed.
type Missing struct {
	Command string
	Package string // of Debian
}

func (m *Missing) Error() string {
	return fmt.Sprintf("%s is not there: apt-get install %s", m.Command, m.Package)
}

// places are where Debian puts servers besides what PATH names.
var places = []string{"/usr/sbin", "/usr/local/sbin", "/sbin", "/usr/lib/postgresql/*/bin"}

// Find returns the path of a program. One that is not there is installed with its package, if this process may do that.
func Find(ctx context.Context, command, pkg string) (string, error) {
	if path := look(command); path != "" {
		return path, nil
	}
	if err := install(ctx, command, pkg); err != nil {
		return "", err
	}
	if path := look(command); path != "" {
		return path, nil
	}
	return "", &Missing{command, pkg}
}

func look(command string) string {
	if path, err := exec.LookPath(command); err == nil {
		return path
	}
	for _, place := range places {
		found, _ := filepath.Glob(filepath.Join(place, command))
		if len(found) > 0 {
			return found[len(found)-1] // of several versions the last
		}
	}
	return ""
}

// install installs a package, unless another process has just done so, or has just found that it cannot be had.
func install(ctx context.Context, command, pkg string) error {
	missing := &Missing{command, pkg}
	apt, err := exec.LookPath("apt-get")
	if err != nil || os.Geteuid() != 0 {
		return missing
	}
	unlock, err := lock(ctx, filepath.Join(os.TempDir(), "refrain-install.lock"))
	if err != nil {
		return fmt.Errorf("waiting to install %s: %w", pkg, err)
	}
	defer unlock()
	if look(command) != "" {
		return nil
	}
	refused := filepath.Join(os.TempDir(), "refrain-install."+pkg+".refused")
	if info, err := os.Stat(refused); err == nil && time.Since(info.ModTime()) < 10*time.Minute {
		return missing
	}
	update := exec.CommandContext(ctx, apt, "update", "-q")
	get := exec.CommandContext(ctx, apt, "install", "-yq", "--no-install-recommends", pkg)
	get.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if err := errors.Join(update.Run(), get.Run()); err != nil {
		_ = os.WriteFile(refused, nil, 0o600)
		return missing
	}
	return nil
}
