package config

import (
	"fmt"
	"strings"

	"github.com/refrain-dev/refrain/refrainhttp"
)

// headerRule is a kind of rules such as "Stripe-Should-Retry: true = release".
func headerRule() kind[refrainhttp.HeaderRule] {
	parse := func(text string) (r refrainhttp.HeaderRule, err error) {
		condition, class, err := splitRule(text)
		if err != nil {
			return r, err
		}
		name, value, found := strings.Cut(condition, ":")
		if !found {
			return r, fmt.Errorf(`%q is not a rule; write one such as "Should-Retry: true = release"`, text)
		}
		if name, err = parseHeader(strings.TrimSpace(name)); err != nil {
			return r, err
		}
		return refrainhttp.HeaderRule{Name: name, Value: strings.TrimSpace(value), Class: class}, nil
	}
	show := func(r refrainhttp.HeaderRule) string { return fmt.Sprintf("%s: %s = %s", r.Name, r.Value, r.Class) }
	return scalar(parse, show)
}

// bodyRule is a kind of rules such as "/errors = unknown", or "/error/code: -32603 = unknown".
func bodyRule() kind[refrainhttp.BodyRule] {
	parse := func(text string) (r refrainhttp.BodyRule, err error) {
		condition, class, err := splitRule(text)
		if err != nil {
			return r, err
		}
		if strings.HasSuffix(condition, ":") {
			return r, fmt.Errorf(`%q has no value; write one such as "/error/code: -32603 = unknown"`, text)
		}
		condition, value, _ := strings.Cut(condition, ": ")
		value = strings.TrimSpace(value)
		condition, err = parsePointer(condition)
		return refrainhttp.BodyRule{Pointer: condition, Value: value, Class: class}, err
	}
	show := func(r refrainhttp.BodyRule) string {
		if r.Value != "" {
			return fmt.Sprintf("%s: %s = %s", r.Pointer, r.Value, r.Class)
		}
		return fmt.Sprintf("%s = %s", r.Pointer, r.Class)
	}
	return scalar(parse, show)
}

// splitRule takes a rule apart: a condition, and the class of answers that meet it.
func splitRule(text string) (condition string, class refrainhttp.Class, err error) {
	at := strings.LastIndexByte(text, '=')
	if at >= 0 {
		word := strings.TrimSpace(text[at+1:])
		for class = refrainhttp.Final; class <= refrainhttp.Unknown; class++ {
			if class.String() == word {
				return strings.TrimSpace(text[:at]), class, nil
			}
		}
	}
	return "", 0, fmt.Errorf("%q does not end with a class: = final, = release or = unknown", text)
}
