package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A proxy is refrain proxy in a process.
type proxy struct {
	cmd *exec.Cmd
	url string
}

// startProxy runs the program on free ports, forgetful, and returns when it serves. It builds it in dir if there is none.
func startProxy(program, dir string, args ...string) (*proxy, error) {
	if program == "" {
		program = filepath.Join(dir, "refrain")
		if out, err := exec.Command("go", "build", "-o", program, "./cmd/refrain").CombinedOutput(); err != nil {
			return nil, fmt.Errorf("building refrain: %w\n%s", err, out)
		}
	}
	args = append([]string{
		"proxy", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--store", "memory:", "--log-format", "json",
	}, args...)
	p := &proxy{cmd: exec.Command(program, args...)}
	said, err := p.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting refrain: %w", err)
	}
	if p.url, err = address(said); err != nil {
		p.stop()
		return nil, fmt.Errorf("starting refrain: %w", err)
	}
	return p, nil
}

func (p *proxy) stop() {
	_ = p.cmd.Process.Signal(os.Interrupt)
	_ = p.cmd.Wait()
}

// address returns where the proxy serves, from the line of its log that says so.
func address(log io.Reader) (string, error) {
	var said strings.Builder
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		var line struct{ Msg, Listen string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "refrain is serving" {
			return "http://" + line.Listen, nil
		}
		said.WriteString("\n" + lines.Text())
	}
	return "", fmt.Errorf("it said%s", said.String())
}
