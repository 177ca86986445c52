package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// nginxConfig is a plain proxy as one would tune it for this work: as many workers as cores, kept connections on both sides,
// no access log.
const nginxConfig = `
%[1]s
worker_processes auto;
daemon off;
pid %[2]s/nginx.pid;
error_log %[2]s/error.log crit;
events { worker_connections 1024; multi_accept on; }
http {
  access_log off;
  keepalive_requests 100000000;
  keepalive_timeout 600s;
  tcp_nodelay on;
  client_body_temp_path %[2]s/body;
  proxy_temp_path %[2]s/proxy;
  fastcgi_temp_path %[2]s/fastcgi;
  uwsgi_temp_path %[2]s/uwsgi;
  scgi_temp_path %[2]s/scgi;
  upstream api {
    server %[3]s;
    keepalive 128;
    keepalive_requests 100000000;
    keepalive_timeout 600s;
  }
  server {
    listen %[4]s backlog=1024;
    location / {
      proxy_pass http://api;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }
  }
}
`

// startNginx runs nginx in front of the upstream.
func startNginx(ctx context.Context, dir, upstream string) (*process, target, error) {
	program, err := nginxProgram(ctx)
	if err != nil {
		return nil, target{}, err
	}
	addr, err := freeAddr(ctx)
	if err != nil {
		return nil, target{}, err
	}
	dir = filepath.Join(dir, "nginx")
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;" // its workers must reach the temporary folder
	}
	config := filepath.Join(dir, "nginx.conf")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, target{}, err
	}
	if err := os.WriteFile(config, fmt.Appendf(nil, nginxConfig, user, dir, upstream, addr), 0o644); err != nil {
		return nil, target{}, err
	}
	p, err := start("nginx", dir, exec.CommandContext(ctx, program, "-p", dir, "-c", config))
	if err != nil {
		return nil, target{}, err
	}
	if err := p.ready(ctx, addr); err != nil {
		p.stop()
		return nil, target{}, err
	}
	return p, target{name: "nginx", addr: addr, path: "/charges"}, nil
}

// nginxProgram finds nginx, or installs it where apt and the right to use it are there.
func nginxProgram(ctx context.Context) (string, error) {
	if path, err := exec.LookPath("nginx"); err == nil {
		return path, nil
	}
	if path := "/usr/sbin/nginx"; isFile(path) {
		return path, nil
	}
	if _, err := exec.LookPath("apt-get"); err != nil || os.Geteuid() != 0 {
		return "", skipped("nginx is not installed")
	}
	progress("installing nginx-light with apt-get")
	script := "apt-get update -q && apt-get install -yq --no-install-recommends nginx-light"
	cmd := exec.CommandContext(ctx, "sh", "-c", script)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", skipped("nginx could not be installed: " + lastLine(out))
	}
	return "/usr/sbin/nginx", nil
}

// A skipped error says why a peer cannot be had here. The comparison with it is left out, the others go on.
type skipped string

func (s skipped) Error() string { return string(s) }

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

func lastLine(b []byte) string {
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return lines[len(lines)-1]
}
