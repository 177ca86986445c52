package config

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// A decoder reads a syntax tree and collects everything that is wrong with it. The tree is read by hand because a decoder
// into structs stops at the first fault and forgets where values stood.
type decoder struct {
	source    string
	problems  Problems
	describes bool // secrets may be away
}

// A value is a node of the file, or the text of a flag or a variable, and its place.
type value struct {
	d      *decoder
	node   ast.Node
	path   string
	origin Origin
}

// A field is a setting: its dotted name, how it is read, and how it is shown.
type field struct {
	name string
	read func(value)
	show func() string
	to   any       // points to the value
	set  func(any) // sets the value to what another field of the type points to
}

// bind makes the field that reads into to, and notes the origin of what it read in origins under the same name.
func bind[T any](origins map[string]Origin, name string, to *T, k kind[T]) field {
	read := func(v value) {
		got, ok := k.read(v)
		if ok {
			*to, origins[name] = got, v.origin
		}
	}
	return field{
		name: name, read: read, show: func() string { return k.show(*to) },
		to: to, set: func(from any) { *to = *from.(*T) },
	}
}

// parseTree returns the content of the file's one document, nil if it is empty.
func (d *decoder) parseTree(text []byte) ast.Node {
	tokens := lexer.Tokenize(string(text))
	if deep := tooDeep(tokens); deep != nil {
		d.problems = append(d.problems, Problem{Origin: d.place(deep), Text: "too many brackets within brackets"})
		return nil
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		d.syntax(err)
		return nil
	}
	var body ast.Node
	for _, doc := range file.Docs {
		switch {
		case doc.Body == nil || doc.Body.Type() == ast.NullType:
		case body != nil:
			d.at(doc.Body, "").fault("a second document begins here; the file may hold one only")
			return body
		default:
			body = doc.Body
		}
	}
	return body
}

// maxDepth is far more brackets within brackets than the file has use for. The parser takes very long for thousands.
const maxDepth = 100

// tooDeep returns the bracket that is too many, or nil.
func tooDeep(tokens token.Tokens) *token.Token {
	depth := 0
	for _, t := range tokens {
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			depth++
		case token.SequenceEndType, token.MappingEndType:
			depth--
		}
		if depth > maxDepth {
			return t
		}
	}
	return nil
}

func (d *decoder) syntax(err error) {
	p := Problem{Origin: Origin{Source: d.source}, Text: err.Error()}
	if e, ok := err.(yaml.Error); ok { //nolint:errorlint // the parser returns it bare
		p.Text = "not YAML: " + e.GetMessage()
		switch {
		case strings.Contains(p.Text, "mapping value"):
			p.Text += "; a value that ends with a colon or contains one before a space needs quotes"
		case strings.Contains(p.Text, "',' or ']' must be specified"):
			p.Text += "; a value with braces in a list in brackets needs quotes"
		}
		p.Origin = d.place(e.GetToken())
	}
	d.problems = append(d.problems, p)
}

func (d *decoder) place(t *token.Token) Origin {
	if t == nil || t.Position == nil {
		return Origin{Source: d.source}
	}
	return Origin{Source: d.source, Line: t.Position.Line, Column: t.Position.Column}
}

// at returns the value that the node stands for, at the node's place.
func (d *decoder) at(n ast.Node, path string) value {
	return value{d: d, node: n, path: path, origin: d.place(firstToken(n))}
}

// firstToken returns the token where a reader would say that the node begins. A mapping's own token is a colon.
func firstToken(n ast.Node) *token.Token {
	switch n := n.(type) {
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return n.Values[0].Key.GetToken()
		}
	case *ast.MappingValueNode:
		return n.Key.GetToken()
	}
	return n.GetToken()
}

func (v value) fault(format string, args ...any) {
	v.d.problems = append(v.d.problems, Problem{Origin: v.origin, Path: v.path, Text: fmt.Sprintf(format, args...)})
}

// entries returns the members of a mapping, those that repeat a name left out. An empty value is an empty mapping.
func (v value) entries() map[string]value {
	pairs, ok := v.pairs()
	if !ok {
		v.fault("expected fields, got %s", describe(v.node))
		return nil
	}
	members := make(map[string]value, len(pairs))
	for _, pair := range pairs {
		name := pair.Key.GetToken().Value
		m := v.d.at(pair.Key, join(v.path, name))
		if first, twice := members[name]; twice {
			m.fault("given twice, first at %s; remove one", first.origin)
			continue
		}
		m.node = pair.Value
		if m.node.Type() != ast.NullType && !isMapping(m.node) {
			m.origin = v.d.place(firstToken(m.node))
		}
		members[name] = m
	}
	return members
}

// ordered returns the members of a mapping in the order of the file.
func (v value) ordered() (all []value) {
	members := v.entries()
	pairs, _ := v.pairs()
	for _, pair := range pairs {
		name := pair.Key.GetToken().Value
		if m, ok := members[name]; ok {
			all = append(all, m)
			delete(members, name)
		}
	}
	return all
}

// member returns the member of a mapping with that name, and whether there is one.
func (v value) member(name string) (value, bool) {
	pairs, _ := v.pairs()
	for _, pair := range pairs {
		if pair.Key.GetToken().Value == name {
			m := v.d.at(pair.Value, join(v.path, name))
			return m, true
		}
	}
	return value{}, false
}

// name returns the last part of the value's path.
func (v value) name() string { return v.path[strings.LastIndexByte(v.path, '.')+1:] }

func (v value) pairs() ([]*ast.MappingValueNode, bool) {
	switch n := v.node.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	case *ast.NullNode:
		return nil, true
	}
	return nil, false
}

// items returns the elements of a sequence; a single scalar is a sequence of one.
func (v value) items() ([]value, bool) {
	seq, ok := v.node.(*ast.SequenceNode)
	if !ok {
		if _, ok := v.scalar(); !ok {
			return nil, false
		}
		return []value{v}, true
	}
	items := make([]value, len(seq.Values))
	for i, n := range seq.Values {
		items[i] = v.d.at(n, fmt.Sprintf("%s[%d]", v.path, i))
	}
	return items, true
}

// scalar returns the value's text. If it has none, that is reported.
func (v value) scalar() (string, bool) {
	switch n := v.node.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value, true
	case *ast.NullNode:
		v.fault("has no value")
	case *ast.MappingNode:
		if text, ok := oneScalar(n); ok {
			return text, true
		}
		v.fault("expected a single value, got %s", describe(v.node))
	default:
		v.fault("expected a single value, got %s", describe(v.node))
	}
	return "", false
}

// oneScalar returns the text of what the parser takes for a mapping and YAML does not: in [jwt:sub], no space follows the colon
// (YAML 1.2.2, section 7.3.3).
func oneScalar(n *ast.MappingNode) (string, bool) {
	if n.IsFlowStyle || len(n.Values) != 1 {
		return "", false
	}
	key, value := n.Values[0].Key.GetToken(), n.Values[0].Value.GetToken()
	end := key.Position.Column + utf8.RuneCountInString(key.Value)
	if key.Type != token.StringType || value.Type != token.StringType || value.Position.Column != end+1 {
		return "", false
	}
	return key.Value + ":" + value.Value, true
}

// fields reads a mapping into those fields whose names begin with prefix.
func (v value) fields(fields []field, prefix string) {
	for name, m := range v.entries() {
		full := prefix + name
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == full })
		switch {
		case i >= 0:
			fields[i].read(m)
		case slices.ContainsFunc(fields, func(f field) bool { return strings.HasPrefix(f.name, full+".") }):
			m.fields(fields, full+".")
		default:
			m.origin = v.d.keyOf(v, name)
			m.fault("%s", unknownField(fields, prefix, name))
		}
	}
}

// keyOf returns the place of a member's name.
func (d *decoder) keyOf(v value, name string) Origin {
	pairs, _ := v.pairs()
	for _, p := range pairs {
		if p.Key.GetToken().Value == name {
			return d.place(p.Key.GetToken())
		}
	}
	return v.origin
}

func isMapping(n ast.Node) bool {
	return n.Type() == ast.MappingType || n.Type() == ast.MappingValueType
}

func describe(n ast.Node) string {
	switch n.Type() {
	case ast.MappingType, ast.MappingValueType:
		return "fields"
	case ast.SequenceType:
		return "a list"
	case ast.NullType:
		return "nothing"
	case ast.AnchorType, ast.AliasType, ast.MergeKeyType:
		return "an anchor or alias; share settings through defaults instead"
	case ast.TagType:
		return "a tag; write the value alone"
	}
	return "a single value" // which is not repeated: it may be a secret
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
