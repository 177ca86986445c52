package webhook_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/refrain-dev/refrain/webhook"
)

// A receiver reads the body, verifies it as it came, and only then looks inside.
func Example() {
	secret, err := webhook.NewSecret("It's a Secret to Everybody") // a program: webhook.ParseSecret("env:GITHUB_SECRET")
	if err != nil {
		log.Fatal(err)
	}
	verifier, err := webhook.New(webhook.GitHub, []webhook.Secret{secret}, webhook.Config{})
	if err != nil {
		log.Fatal(err)
	}
	inbox := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil {
			http.Error(w, "the body cannot be read", http.StatusBadRequest)
			return
		}
		if err := verifier.Verify(r, body); err != nil {
			fmt.Println(err)
			http.Error(w, "not signed by the sender", http.StatusUnauthorized)
			return
		}
		fmt.Printf("received %q\n", body)
	})

	for _, body := range []string{"Hello, World!", "Hello, Mallory!"} {
		r := httptest.NewRequest(http.MethodPost, "/github", strings.NewReader(body))
		r.Header.Set("X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")
		w := httptest.NewRecorder()
		inbox.ServeHTTP(w, r)
		fmt.Println(w.Code)
	}
	// Output:
	// received "Hello, World!"
	// 200
	// github webhook: signature mismatch: header X-Hub-Signature-256 does not fit the body
	// 401
}

// While a secret is rotated, what was signed with either is accepted.
func Example_rotation() {
	old, err := webhook.NewSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		log.Fatal(err)
	}
	current, err := webhook.NewSecret("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")
	if err != nil {
		log.Fatal(err)
	}
	verifier, err := webhook.New(webhook.StandardWebhooks, []webhook.Secret{current, old}, webhook.Config{
		Now: func() time.Time { return time.Unix(1614265390, 0) }, // a minute later; left out in a program
	})
	if err != nil {
		log.Fatal(err)
	}

	r := httptest.NewRequest(http.MethodPost, "/in", nil)
	r.Header.Set("Webhook-Id", "msg_p5jXN8AQM9LWM0D4loKWxJek")
	r.Header.Set("Webhook-Timestamp", "1614265330")
	r.Header.Set("Webhook-Signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
	fmt.Println(verifier.Verify(r, []byte(`{"test": 2432232314}`)))
	fmt.Println(current)
	// Output:
	// <nil>
	// [redacted]
}
