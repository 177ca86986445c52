package refrainhttp

import (
	"maps"
	"net/http"
	"testing"

	"github.com/refrain-dev/refrain"
)

func TestOutcomeRules(t *testing.T) {
	t.Parallel()
	rules := Outcomes{
		Headers: []HeaderRule{{"stripe-should-retry", "true", Release}, {"X-Error", "transient", Unknown}},
		Bodies: []BodyRule{
			{Pointer: "/error/code", Value: "-32603", Class: Unknown},
			{Pointer: "/retry", Value: "true", Class: Release},
			{Pointer: "/errors", Class: Release},
			{Pointer: "/partial", Class: Unknown},
		},
	}
	classes, err := rules.compile()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		status int
		header http.Header
		body   string
		want   Class
	}{
		{"by status", 201, nil, `{"id":1}`, Final},
		{"by status, unknown", 500, nil, `{"id":1}`, Unknown},
		{"a header", 500, http.Header{"Stripe-Should-Retry": {"True"}}, "", Release},
		{"another value", 500, http.Header{"Stripe-Should-Retry": {"maybe"}}, "", Unknown},
		{"the first rule counts", 200, http.Header{"X-Error": {"transient"}, "Stripe-Should-Retry": {"true"}}, "", Release},
		{"the upstream's own word comes first", 200, http.Header{"Idempotency-Outcome": {"UNKNOWN"}, "Stripe-Should-Retry": {"true"}}, "", Unknown},
		{"a word that is none", 200, http.Header{"Idempotency-Outcome": {"perhaps"}}, "", Final},
		{"none is no word for an upstream", 200, http.Header{"Idempotency-Outcome": {"none"}}, "", Final},
		{"a body", 200, nil, `{"data":null,"errors":[{"message":"no"}]}`, Release},
		{"a header comes before a body", 200, http.Header{"X-Error": {"transient"}}, `{"errors":[1]}`, Unknown},
		{"a body comes before the status", 500, nil, `{"errors":[1]}`, Release},
		{"an empty list is nothing", 200, nil, `{"errors":[]}`, Final},
		{"null is nothing", 200, nil, `{"errors":null,"partial":true}`, Unknown},
		{"no JSON", 200, nil, `errors`, Final},
		{"no media type of JSON", 200, http.Header{"Content-Type": {"text/plain"}}, `{"errors":[1]}`, Final},
		{"a media type with the suffix", 200, http.Header{"Content-Type": {"application/graphql-response+json"}}, `{"errors":[1]}`, Release},
		{"a value", 200, nil, `{"error":{"code":-3.2603e4}}`, Unknown},
		{"a value as text", 200, nil, `{"error":{"code":"-32603"}}`, Unknown},
		{"a value that is not it", 200, nil, `{"error":{"code":-32602}}`, Final},
		{"a value that is no scalar", 200, nil, `{"error":{"code":[-32603]}}`, Final},
		{"a truth", 200, nil, `{"retry":true}`, Release},
		{"no single meaning", 200, nil, `{"errors":[],"errors":[1]}`, Final},
	} {
		c := &capture{status: tt.status, header: jsonHeader(tt.header), body: []byte(tt.body)}
		if got := classes.classify(c, &workspace{}); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
	for _, bad := range []Outcomes{
		{Headers: []HeaderRule{{"a b", "x", Final}}},
		{Headers: []HeaderRule{{"A", "x", 0}}},
		{Bodies: []BodyRule{{Pointer: "errors", Class: Final}}},
		{Bodies: []BodyRule{{Pointer: "/errors", Class: 9}}},
	} {
		if _, err := bad.compile(); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}

// jsonHeader returns the header with a media type of JSON, unless it has one.
func jsonHeader(h http.Header) http.Header {
	c := http.Header{"Content-Type": {"application/json; charset=utf-8"}}
	maps.Copy(c, h)
	return c
}

// What is too long to be kept is not looked into either: the part of it that is there may say otherwise than the whole.
func TestLongAnswersGoByTheirStatus(t *testing.T) {
	t.Parallel()
	classes, err := Outcomes{Bodies: []BodyRule{{Pointer: "/errors", Class: Release}}}.compile()
	if err != nil {
		t.Fatal(err)
	}
	c := &capture{status: 200, header: jsonHeader(nil), body: []byte(`{"errors":[1]}`), omitted: true}
	if got := classes.classify(c, &workspace{}); got != Final {
		t.Errorf("got %s, want final", got)
	}
}

func TestResourceIDs(t *testing.T) {
	t.Parallel()
	id, err := newPointer("/id")
	if err != nil {
		t.Fatal(err)
	}
	for body, want := range map[string]string{
		`{"id":"PM1","x":1}`:              "PM1",
		`{"id":10}`:                       "10",
		`{"payments":{"id":"PM1"}}`:       "PM1",
		`{"payments":{"x":1}}`:            "",
		`{"a":{"id":"1"},"b":{"id":"2"}}`: "", // which?
		`{"payments":[{"id":"PM1"}]}`:     "",
		`{"id":null}`:                     "",
		`[]`:                              "",
		``:                                "",
	} {
		for _, work := range []*workspace{nil, new(workspace)} {
			if got := resourceID(&refrain.Outcome{Body: []byte(body)}, id, work); got != want {
				t.Errorf("%s: got %q, want %q", body, got, want)
			}
		}
	}
	if resourceID(nil, id, nil) != "" {
		t.Error("no outcome has an ID")
	}
}
