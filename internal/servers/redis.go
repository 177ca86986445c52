package servers

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Redis is a Redis server: its data are in its folder, in an append-only file. Its master, if it has one, is up to whoever
// started it.
type Redis struct {
	*Process

	On   *Host
	Port int
}

// StartRedis starts a Redis server. The settings are as in a configuration file, a name and its value one after the other; they
// come after those that the server has anyway.
func StartRedis(ctx context.Context, dir string, settings ...string) (*Redis, error) {
	return Here().StartRedis(ctx, dir, settings...)
}

// StartRedis is [StartRedis] on another host.
func (h *Host) StartRedis(ctx context.Context, dir string, settings ...string) (*Redis, error) {
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	return h.startRedis(ctx, "redis-"+strconv.Itoa(port), dir, port, settings...)
}

func (h *Host) startRedis(ctx context.Context, name, dir string, port int, settings ...string) (*Redis, error) {
	path, err := Find(ctx, "redis-server", "redis-server")
	if err != nil {
		return nil, err
	}
	args := []string{
		"--port", strconv.Itoa(port), "--bind", h.Address, "--protected-mode", "no", "--dir", dir, "--dbfilename", name + ".rdb",
		"--appendonly", "yes", "--appenddirname", name + ".aof", "--save", "", "--enable-debug-command", "local",
		"--shutdown-on-sigint", "nosave now force", // a server that is told in the wrong moment does not end else
	}
	for i := 0; i+1 < len(settings); i += 2 {
		args = append(args, "--"+settings[i], settings[i+1])
	}
	r := &Redis{On: h, Port: port}
	r.Process, err = Start(ctx, Command{
		Name: name, Path: path, Args: args, Dir: dir, Host: h, Ready: r.ping,
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// ping asks a server whether it takes requests.
func (r *Redis) ping(ctx context.Context) error {
	d := net.Dialer{Timeout: time.Second}
	c, err := d.DialContext(ctx, "tcp", r.address())
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Second))
	if _, err := c.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err == nil && line != "+PONG\r\n" {
		err = errors.New(strings.TrimSpace(line))
	}
	return err
}

// URL returns what a Redis client calls the server.
func (r *Redis) URL() string { return "redis://" + r.address() }

func (r *Redis) address() string { return r.On.At(r.Port) }

// Call gives the server a command, and returns the reply as redis-cli prints it.
func (r *Redis) Call(ctx context.Context, command ...string) (string, error) {
	path, err := Find(ctx, "redis-cli", "redis-tools")
	if err != nil {
		return "", err
	}
	args := append([]string{"-h", r.On.Address, "-p", strconv.Itoa(r.Port), "-e"}, command...)
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", filepath.Base(path), strings.Join(command, " "), err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

// stopAll ends servers, the last first.
func stopAll[S interface{ Stop() error }](all []S) error {
	var errs []error
	for _, s := range slices.Backward(all) {
		errs = append(errs, s.Stop())
	}
	return errors.Join(errs...)
}

// eventually asks again and again, for at most half a minute, until there is no error.
func eventually(ctx context.Context, what string, holds func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		err := holds(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
