package webhook

import (
	"crypto/sha256"
	"fmt"
	"net/http"
)

// The headers of Slack.
const (
	slackTimestamp = "X-Slack-Request-Timestamp"
	slackSignature = "X-Slack-Signature"
)

func slack(keys [][]byte, now clock) check {
	sign := mac{hash: sha256.New, keys: keys}
	return func(r *http.Request, body []byte) error {
		timestamp, err := single(r.Header, slackTimestamp)
		if err != nil {
			return err
		}
		line, err := single(r.Header, slackSignature)
		if err != nil {
			return err
		}
		signature, err := HMAC{Encoding: Hex, Prefix: "v0="}.parse(line, sha256.Size)
		if err != nil {
			return fmt.Errorf("%w: header %s: %w", ErrMalformed, slackSignature, err)
		}
		if err := now.near(timestamp, slackTimestamp); err != nil {
			return err
		}
		if !sign.made([][]byte{signature}, []byte("v0:"+timestamp+":"), body) {
			return fmt.Errorf("%w: header %s does not fit the timestamp and the body", ErrMismatch, slackSignature)
		}
		return nil
	}
}
