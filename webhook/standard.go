package webhook

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// The headers of Standard Webhooks. The id is the same in every attempt to deliver an event, and so the key to use.
const (
	standardID        = "webhook-id"
	standardTimestamp = "webhook-timestamp"
	standardSignature = "webhook-signature"
)

// standardKeys are the keys of the two versions: v1, and v1a.
type standardKeys struct {
	mac    mac
	public []ed25519.PublicKey
}

func standard(secrets [][]byte, now clock) (check, error) {
	keys, err := parseStandardKeys(secrets)
	if err != nil {
		return nil, err
	}
	return func(r *http.Request, body []byte) error {
		id, err := standardIDOf(r.Header)
		if err != nil {
			return err
		}
		timestamp, err := single(r.Header, standardTimestamp)
		if err != nil {
			return err
		}
		line, err := single(r.Header, standardSignature)
		if err != nil {
			return err
		}
		signed, err := parseStandard(line)
		if err != nil {
			return fmt.Errorf("%w: header %s %w", ErrMalformed, standardSignature, err)
		}
		if err := now.near(timestamp, standardTimestamp); err != nil {
			return err
		}
		return keys.verify(signed, []byte(id+"."+timestamp+"."), body)
	}, nil
}

// standardIDOf refuses a full stop, as the specification asks: with one, text inside of a signed body could be passed off as
// the timestamp, what follows it as the body, and what precedes it as the id.
func standardIDOf(h http.Header) (string, error) {
	id, err := single(h, standardID)
	if err == nil && strings.Contains(id, ".") {
		return "", fmt.Errorf("%w: header %s contains a full stop", ErrMalformed, standardID)
	}
	return id, err
}

// standardSignatures are the signatures of a header, by version.
type standardSignatures struct{ v1, v1a [][]byte }

// parseStandard reads a list such as "v1,… v1a,…". While a sender rotates its secret, and while it moves from one version to
// another, there are several; what is of a version unknown here is passed over, as is one that is broken beside a whole one.
func parseStandard(line string) (standardSignatures, error) {
	var s standardSignatures
	for item := range strings.SplitSeq(line, " ") {
		version, encoded, _ := strings.Cut(item, ",")
		switch version {
		case "v1":
			if sum, err := Base64.decode(encoded, sha256.Size); err == nil {
				s.v1 = append(s.v1, sum)
			}
		case "v1a":
			if sum, err := Base64.decode(encoded, ed25519.SignatureSize); err == nil {
				s.v1a = append(s.v1a, sum)
			}
		}
	}
	if len(s.v1) == 0 && len(s.v1a) == 0 {
		return s, errors.New("holds no v1 or v1a signature of the right form")
	}
	return s, nil
}

func (k standardKeys) verify(s standardSignatures, prefix, body []byte) error {
	if k.mac.made(s.v1, prefix, body) {
		return nil
	}
	message := slices.Concat(prefix, body)
	for _, key := range k.public {
		for _, signature := range s.v1a {
			if ed25519.Verify(key, message, signature) {
				return nil
			}
		}
	}
	return fmt.Errorf("%w: header %s does not fit the id, the timestamp and the body", ErrMismatch, standardSignature)
}

func parseStandardKeys(secrets [][]byte) (standardKeys, error) {
	k := standardKeys{mac: mac{hash: sha256.New}}
	for i, secret := range secrets {
		if err := k.add(string(secret)); err != nil {
			return k, fmt.Errorf("secret %d of %d: %w", i+1, len(secrets), err)
		}
	}
	return k, nil
}

// add takes a secret by its prefix. Without one it is the base64 of an HMAC key: the reference libraries hold it so.
func (k *standardKeys) add(secret string) error {
	if strings.HasPrefix(secret, "whsk_") {
		return errors.New("whsk_ marks the sender's signing key; the receiver needs the public key, whpk_")
	}
	encoded, public := strings.CutPrefix(secret, "whpk_")
	if !public {
		encoded = strings.TrimPrefix(secret, "whsec_")
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	switch {
	case err != nil || len(key) == 0:
		return errors.New("it is not base64, with whsec_ or whpk_ in front")
	case public && len(key) != ed25519.PublicKeySize:
		return fmt.Errorf("its public key has %d bytes, not %d", len(key), ed25519.PublicKeySize)
	case public:
		k.public = append(k.public, key)
	default:
		k.mac.keys = append(k.mac.keys, key)
	}
	return nil
}
