package main

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// asCommand makes the test binary behave as the refrain binary.
const asCommand = "REFRAIN_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asNaked) != "" && len(os.Args) > 1 && os.Args[1] == "proxy" {
		serveNaked()
		return
	}
	if os.Getenv(asCommand) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// A result is what a command left behind.
type result struct {
	status         int
	stdout, stderr string
}

// command runs a command in the test's process, with no environment variables.
func command(args ...string) result { return commandIn(nil, args...) }

func commandIn(env map[string]string, args ...string) result {
	var stdout, stderr bytes.Buffer
	status := run(environment{
		args: args, getenv: func(name string) string { return env[name] }, stdout: &stdout, stderr: &stderr,
	})
	return result{status, stdout.String(), stderr.String()}
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", path, got, want)
	}
}

func TestEveryCommandHasHelpWithAnExample(t *testing.T) {
	t.Parallel()
	root := newRoot(environment{})
	all := append(root.Commands(), root)
	for _, cmd := range root.Commands() {
		if cmd.Name() != "completion" {
			all = append(all, cmd.Commands()...)
		}
	}
	for _, cmd := range all {
		if cmd.Name() == "completion" {
			continue // cobra's own
		}
		path := strings.Fields(cmd.CommandPath())[1:]
		got := command(append(path, "--help")...)
		if got.status != statusGood || !strings.Contains(got.stdout, "Examples:\n  refrain ") || cmd.Short == "" {
			t.Errorf("%s --help: got status %d and\n%s\nwant help with an example", cmd.CommandPath(), got.status, got.stdout)
		}
		for line := range strings.Lines(got.stdout) {
			if strings.Count(line, "(default ") > 1 {
				t.Errorf("%s --help: two defaults in %q", cmd.CommandPath(), line)
			}
		}
	}
}

func TestMisuseEndsWithStatus2AndAHint(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ args, want string }{
		{"frobnicate", `refrain: unknown command "frobnicate"`},
		{"chekc", `refrain: unknown command "chekc"; did you mean check?`},
		{"serve --help", `refrain: unknown command "serve"`},
		{"--help serve", `refrain: unknown command "serve"`},
		{"help serve", `refrain: unknown command "serve"`},
		{"ops shwo -h", `refrain: unknown command "shwo"; did you mean show?`},
		{"help ops shwo", `refrain: unknown command "shwo"; did you mean show?`},
		{"completion fishy --help", `refrain: unknown command "fishy"`},
		{"--frobnicate", "refrain: unknown flag: --frobnicate"},
		{"proxy --frobnicate", "refrain: unknown flag: --frobnicate"},
		{"proxy --listen", "refrain: flag needs an argument: --listen"},
		{"proxy now", `refrain: unexpected argument "now"`},
		{"proxy", "refrain: no upstream: name the API's URL with --upstream, REFRAIN_UPSTREAM or upstream in the file"},
		{"proxy --upstream example.com", "refrain: flag --upstream: does not begin with http:// or https://"},
		{"proxy --upstream", "refrain: flag needs an argument: --upstream"},
		{"check --store memory:x", "refrain: flag --store: memory: takes nothing after the colon"},
		{
			"proxy --upstream http://a --log-level loud",
			`refrain: flag --log-level: "loud" is none of debug, info, warn, error`,
		},
		{"proxy --upstream http://a --log-format xml", `refrain: flag --log-format: "xml" is neither text nor json`},
		{
			"proxy --upstream http://a --store redis:u:secret@h",
			"refrain: flag --store: has no host; write one such as redis://127.0.0.1/",
		},
		{
			"demo --store oracle:",
			`refrain: flag --store: there is no server to start for "oracle:"; write redis:, postgres:, mysql:, or a store's URL`,
		},
		{"check now", `refrain: unexpected argument "now"`},
		{"explain", "refrain: missing METHOD and PATH"},
		{"explain POST", "refrain: missing PATH"},
		{"explain POST charges", `refrain: path "charges" must begin with a slash`},
		{"explain P(ST /charges", "refrain: P(ST /charges is not a request"},
		{"explain POST / --body @/no/such/file", "refrain: reading an argument: open /no/such/file"},
		{"explain POST / -H nonsense", "refrain: header \"nonsense\" is not of the form 'Name: value'"},
		{"version now", `refrain: unexpected argument "now"`},
	} {
		got := command(strings.Fields(tt.args)...)
		if got.status != statusMisuse || !strings.HasPrefix(got.stderr, tt.want) ||
			!strings.Contains(got.stderr, "--help' for how to use it.\n") || got.stdout != "" {
			t.Errorf("refrain %s: got status %d, output %q and\n%s\nwant status %d and\n%s\nand a hint",
				tt.args, got.status, got.stdout, got.stderr, statusMisuse, tt.want)
		}
	}
}

func TestBadVariablesAreMisuseToo(t *testing.T) {
	t.Parallel()
	got := commandIn(map[string]string{"REFRAIN_STORE": "floppy:"}, "check")
	want := "refrain: environment REFRAIN_STORE: scheme \"floppy\" is not known; supported: pebble:DIR, sqlite:FILE, memory:, redis://, redis+sentinel://, redis+cluster://, postgres://, mysql://\n"
	if got.status != statusMisuse || !strings.HasPrefix(got.stderr, want) {
		t.Errorf("got status %d and %q, want %d and %q", got.status, got.stderr, statusMisuse, want)
	}
}

func TestMissingFileEndsWithStatus1(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"proxy"}, {"check"}, {"explain", "POST", "/"}} {
		got := command(append(args, "--config", "testdata/none.yaml")...)
		if got.status != statusFault || !strings.Contains(got.stderr, "testdata/none.yaml: no such file") {
			t.Errorf("%v: got status %d and %q, want %d and that the file is not there", args, got.status, got.stderr,
				statusFault)
		}
	}
}

func TestBadFileEndsWithStatus1AndEveryFault(t *testing.T) {
	t.Parallel()
	const bad = "internal/config/testdata/bad/values.yaml"
	want, err := os.ReadFile("internal/config/testdata/bad/values.golden")
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"proxy"}, {"check"}, {"explain", "POST", "/"}} {
		got := command(append(args, "--config", bad)...)
		if got.status != statusFault {
			t.Errorf("%v: got status %d, want %d", args, got.status, statusFault)
		}
		said := got.stdout + got.stderr
		for line := range strings.Lines(strings.ReplaceAll(string(want), "testdata/bad", "internal/config/testdata/bad")) {
			if !strings.Contains(said, line) {
				t.Errorf("%v: got\n%s\nwant also %s", args, said, line)
			}
		}
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	if got := command("version"); got.status != statusGood || !strings.HasPrefix(got.stdout, "refrain ") {
		t.Errorf("version: got status %d and %q", got.status, got.stdout)
	}
	got := command("version", "--json")
	for _, field := range []string{`"version":"`, `"go":"go1.`, `"os":"`, `"arch":"`} {
		if !strings.Contains(got.stdout, field) {
			t.Errorf("version --json: got %s, want it to have %s", got.stdout, field)
		}
	}
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		got := command("completion", shell)
		if got.status != statusGood || !strings.Contains(got.stdout, "refrain") {
			t.Errorf("completion %s: got status %d and %d bytes", shell, got.status, len(got.stdout))
		}
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	const file, scopes = "internal/config/testdata/good/routes.yaml", "internal/config/testdata/good/scopes.yaml"
	for name, args := range map[string][]string{
		"defaults": {"POST", "/charges"},
		"key": {
			"POST", "/charges", "--config", file, "-H", "Idempotency-Key: 3f2b8c1e-0000-4000-8000-123456789abc",
			"-H", "X-Account: a1",
		},
		"badkey":    {"POST", "/charges/7/capture", "--config", file, "-H", "idempotency-key: not-a-uuid"},
		"nokey":     {"POST", "/charges", "--config", file},
		"observe":   {"put", "/accounts/7", "--config", file},
		"unmatched": {"DELETE", "/charges", "--config", file},
		"safe":      {"GET", "/charges?x=1"},
		"token":     {"POST", "/accounts/7/charges", "--config", scopes, "-H", "Idempotency-Key: k1", "-H", "X-Token: t", "-H", "X-User: u"},
		"trusted":   {"POST", "/orgs/1/accounts/7", "--config", scopes, "-H", "Idempotency-Key: k1", "-H", "X-User: u"},
		"cookie":    {"POST", "/accounts/7/charges", "--config", scopes, "-H", "Idempotency-Key: k1", "-H", "Cookie: session=s"},
		"stranger":  {"POST", "/accounts/7/charges", "--config", scopes, "-H", "Idempotency-Key: k1"},
		"address":   {"POST", "/public", "--config", scopes, "-H", "Idempotency-Key: k1"},
		"everybody": {"POST", "/jobs", "--config", scopes, "-H", "Idempotency-Key: k1"},
		"rpc":       {"POST", "/mcp", "--config", "../../examples/dialects/acp-mcp.yaml"},
		"rpcbody": {
			"POST", "/mcp", "--config", "../../examples/dialects/acp-mcp.yaml", "-H", "Content-Type: application/json", "--body",
			`{"id":1,"method":"tools/call","params":{"name":"pay","arguments":{"meta":{"idempotency_key":"k1"}}}}`,
		},
		"query": {"POST", "/payments?request_id=k1", "--config", "testdata/query.yaml"},
		"probe": {"POST", "/accounts/7/payouts", "--config", "internal/config/testdata/good/probe.yaml"},
	} {
		got := command(append([]string{"explain"}, args...)...)
		if got.status != statusGood || got.stderr != "" {
			t.Errorf("%s: got status %d and %q", name, got.status, got.stderr)
		}
		golden(t, "testdata/explain-"+name+".golden", got.stdout)
	}
}

func TestExplainNeverShowsValuesOfHeaders(t *testing.T) {
	t.Parallel()
	const scopes = "internal/config/testdata/good/scopes.yaml"
	for _, args := range [][]string{
		{"/charges", "-H", "Authorization: Bearer s3cret"},
		{"/accounts/7/charges", "--config", scopes, "-H", "X-Token: s3cret"},
		{"/accounts/7/charges", "--config", scopes, "-H", "X-User: s3cret"},
		{"/accounts/7/charges", "--config", scopes, "-H", "Cookie: session=s3cret"},
		{"/charges", "--body", `{"card":"s3cret"}`},
	} {
		got := command(append([]string{"explain", "POST", "-H", "Idempotency-Key: raw-key-1"}, args...)...)
		if said := got.stdout + got.stderr; got.status != 0 || strings.Contains(said, "raw-key-1") || strings.Contains(said, "s3cret") {
			t.Errorf("got\n%s\nwant neither the key nor the credential", said)
		}
	}
}
