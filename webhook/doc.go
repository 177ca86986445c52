// Package webhook says whether an inbound webhook was signed by the sender that shares a secret with its receiver.
//
// A Verifier speaks one Scheme exactly as the sender documents it: Standard Webhooks, GitHub, Shopify, Slack, Twilio, Stripe,
// or a plain HMAC in a header for others. It sees the request and the raw bytes of its body, and either returns nil or an
// error that names the scheme and what was wrong. Nothing it returns or prints holds a secret or the expected signature.
//
// Verification comes first: before the body is parsed, and before an idempotency key taken from the request means anything.
// It does not recognise duplicates. A sender signs every attempt, and a signature without a timestamp (GitHub, Shopify,
// Twilio) is valid for ever.
//
// CloudEvents define no signature, so there is no scheme for them; one that signs the carrying request may be a plain HMAC.
package webhook
