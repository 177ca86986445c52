package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	restate "github.com/restatedev/sdk-go"
	restateserver "github.com/restatedev/sdk-go/server"
)

// restatePackage is the npm package that holds Restate's server.
const restatePackage = "@restatedev/restate-server@1.7.12"

// startRestate runs Restate with its defaults, and registers the handler that serves at handler.
func startRestate(ctx context.Context, dir, handler string) (*process, target, error) {
	program, err := restateProgram(ctx)
	if err != nil {
		return nil, target{}, err
	}
	var addrs [3]string
	for i := range addrs {
		if addrs[i], err = freeAddr(ctx); err != nil {
			return nil, target{}, err
		}
	}
	ingress, admin, node := addrs[0], addrs[1], addrs[2]
	dir = filepath.Join(dir, "restate")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, target{}, err
	}
	cmd := exec.CommandContext(ctx, program, "--no-logo")
	cmd.Dir = dir
	// Where it listens and keeps its data, and that it tells nobody; everything else as it comes.
	cmd.Env = append(os.Environ(), "RESTATE_BASE_DIR="+dir, "RESTATE_LISTEN_MODE=tcp", "RESTATE_DISABLE_TELEMETRY=true",
		"RESTATE_INGRESS__BIND_ADDRESS="+ingress, "RESTATE_ADMIN__BIND_ADDRESS="+admin,
		"RESTATE_BIND_ADDRESS="+node, "RESTATE_ADVERTISED_ADDRESS=http://"+node, "RESTATE_LOG_FILTER=error")
	p, err := start("restate", dir, cmd)
	if err != nil {
		return nil, target{}, err
	}
	if err := registerRestate(ctx, p, admin, handler); err != nil {
		p.stop()
		return nil, target{}, err
	}
	if err := p.ready(ctx, ingress); err != nil {
		p.stop()
		return nil, target{}, err
	}
	return p, target{name: "Restate", addr: ingress, path: "/Charges/Create"}, nil
}

// registerRestate tells Restate's admin API where the handler is.
func registerRestate(ctx context.Context, p *process, admin, handler string) error {
	if err := p.ready(ctx, admin); err != nil {
		return err
	}
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := postJSON(ctx, "http://"+admin+"/deployments", `{"uri":"http://`+handler+`"}`)
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(200 * time.Millisecond) // it listens before it is ready
	}
}

func postJSON(ctx context.Context, url, body string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode >= 300 {
		return fmt.Errorf("posting to %s: %s", url, res.Status)
	}
	return nil
}

// restateProgram returns the server's program, from the cache or freshly installed by npm.
func restateProgram(ctx context.Context) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", skipped("there is no cache folder: " + err.Error())
	}
	dir := filepath.Join(cache, "refrain-bench", strings.ReplaceAll(strings.Trim(restatePackage, "@"), "/", "-"))
	// The package's own launcher is a Node script; what it launches lies in a package named after the platform.
	find := func() string {
		found, _ := filepath.Glob(filepath.Join(dir, "node_modules/@restatedev/restate-server-*/bin/restate-server"))
		if len(found) == 0 {
			return ""
		}
		return found[0]
	}
	if program := find(); program != "" {
		return program, nil
	}
	if _, err := exec.LookPath("npm"); err != nil {
		return "", skipped("npm is not installed")
	}
	progress("installing " + restatePackage + " with npm")
	cmd := exec.CommandContext(ctx, "npm", "install", "--no-fund", "--no-audit", "--prefix", dir, restatePackage)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", skipped("npm could not install " + restatePackage + ": " + lastLine(out))
	}
	if program := find(); program != "" {
		return program, nil
	}
	return "", skipped(restatePackage + " has no server for this platform")
}

// serveRestateHandler is the same work as serveUpstream, as a handler of Restate's Go SDK.
func serveRestateHandler(ctx context.Context, addr string) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		_, _ = os.Stdin.Read(make([]byte, 1))
		stop()
	}()
	create := restate.NewServiceHandler(func(restate.Context, json.RawMessage) (json.RawMessage, error) {
		return json.RawMessage(answer), nil
	})
	charges := restate.NewService("Charges").Handler("Create", create)
	return restateserver.NewRestate().Bind(charges).Start(ctx, addr)
}
