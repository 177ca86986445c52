package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// A payment is a request body as APIs for payments get them.
type payment struct {
	Reference   string            `json:"reference"`
	Amount      int64             `json:"amount"`
	Currency    string            `json:"currency"`
	Capture     bool              `json:"capture"`
	Description string            `json:"description"`
	Customer    customer          `json:"customer"`
	Items       []item            `json:"items"`
	Metadata    map[string]string `json:"metadata"`
	ReturnURL   string            `json:"return_url"`
	Mandate     *string           `json:"mandate"`
}

type customer struct {
	ID      string  `json:"id"`
	Name    string  `json:"name"`
	Email   string  `json:"email"`
	Billing address `json:"billing_address"`
	Risk    float64 `json:"risk"`
}

type address struct {
	Line1   string `json:"line1"`
	Line2   string `json:"line2"`
	City    string `json:"city"`
	Zip     string `json:"postal_code"`
	Country string `json:"country"`
}

type item struct {
	SKU      string   `json:"sku"`
	Name     string   `json:"name"`
	Quantity int      `json:"quantity"`
	Price    float64  `json:"unit_price"`
	TaxRate  float64  `json:"tax_rate"`
	Tags     []string `json:"tags"`
}

func newPayment(n int) payment {
	p := payment{
		Reference: fmt.Sprintf("order-%06d", n), Amount: 128900 + int64(n), Currency: "EUR", Capture: true,
		Description: "Order \"5512\"\nfor M\u00fcller & S\u00f6hne <Z\u00fcrich>",
		Customer: customer{
			ID: "cus_N3hX9v1lqkPw2", Name: "Zo\u00eb M\u00fcller-\u00d8st", Email: "zoe@example.com", Risk: 0.17,
			Billing: address{
				Line1: "Bahnhofstrasse 7", Line2: "c/o \u6771\u4eac\u652f\u5e97", City: "Z\u00fcrich", Zip: "8001",
				Country: "CH",
			},
		},
		Metadata: map[string]string{
			"channel": "web", "session": "5eb63bbbe01eeed093cb22bb8f5acdc3", "campaign": "spring/2026", "note": "\U0001f381 gift wrap",
		},
		ReturnURL: "https://shop.example.com/checkout/return?order=5512&step=3",
	}
	for i := range 10 {
		p.Items = append(p.Items, item{
			SKU: fmt.Sprintf("SKU-%05d", 7919*i%99991), Name: "Caf\u00e9 cup, 12\" saucer", Quantity: i + 1, Price: 12.5 + 1.01*float64(i),
			TaxRate: 0.081, Tags: []string{"kitchen", "gift"},
		})
	}
	return p
}

// spellings is how many ways there are to write a payment.
const spellings = 3

// payments returns one payment in all spellings, and then as many other payments, in one spelling each.
func payments() [][]byte {
	var texts [][]byte
	for i := range 2 * spellings {
		texts = append(texts, spell(newPayment(max(0, i-spellings+1)), i%spellings))
	}
	return texts
}

// spell writes a payment: as Go does, as PHP does, or with its members sorted and space between them.
func spell(p payment, how int) []byte {
	text, err := json.Marshal(p)
	if err != nil {
		panic(err) // cannot be: it has no such values
	}
	switch how {
	case 1:
		return asPHP(text)
	case 2:
		return sorted(text)
	}
	return text
}

// asPHP escapes slashes and whatever is not ASCII.
func asPHP(text []byte) []byte {
	var b bytes.Buffer
	for _, r := range strings.ReplaceAll(string(text), "/", `\/`) {
		switch {
		case r < utf8.RuneSelf:
			b.WriteRune(r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		}
	}
	return b.Bytes()
}

// sorted writes the members in the order of their names, and space between them.
func sorted(text []byte) []byte {
	var members map[string]any
	if err := json.Unmarshal(text, &members); err != nil {
		panic(err) // cannot be: it was just made
	}
	b, err := json.Marshal(members)
	if err != nil {
		panic(err)
	}
	return bytes.ReplaceAll(bytes.ReplaceAll(b, []byte(`,"`), []byte(`, "`)), []byte(`":`), []byte(`": `))
}
