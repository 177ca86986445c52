// Package lint tests the rules of the code that no linter knows: who may import whom, and what every file keeps.
package lint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/refrain-dev/refrain"

// A layer says what the packages under a folder may import besides the standard library. The deepest folder counts.
type layer struct {
	own    []string // packages of this project, relative to the module; nil means all but cmd
	others bool     // third-party packages
	noHTTP bool     // nor net/http
}

// layers are those of docs/design.md. What is not named here may import all but cmd.
var layers = map[string]layer{
	".":                     {own: []string{}, noHTTP: true},
	"memstore":              {own: []string{"."}, noHTTP: true},
	"storetest":             {own: []string{"."}, noHTTP: true},
	"journal":               {own: []string{"."}, noHTTP: true},
	"pebblestore":           {own: []string{".", "internal/machine"}, others: true, noHTTP: true},
	"redisstore":            {own: []string{"."}, others: true, noHTTP: true},
	"pgstore":               {own: []string{"."}, others: true, noHTTP: true},
	"mysqlstore":            {own: []string{"."}, others: true, noHTTP: true},
	"sqlitestore":           {own: []string{".", "internal/machine"}, others: true, noHTTP: true},
	"refrainhttp":           {own: []string{"."}},
	"webhook":               {own: []string{}},
	"internal":              {own: []string{".", "internal/servers"}},
	"internal/machine":      {own: []string{}, noHTTP: true},
	"examples":              {},
	"examples/exactly-once": {others: true}, // a module of its own
	"examples/orm":          {others: true}, // likewise
	"bench":                 {others: true},
	"test":                  {others: true},
	"cmd":                   {others: true},
}

// ofTests is what the tests of every layer may import, too.
var ofTests = []string{"memstore", "storetest", "internal/servers", "internal/servers/servertest"}

// A file is one Go file of the project.
type file struct {
	*ast.File
	name string // relative to the project, with slashes
	set  *token.FileSet
}

func (f *file) test() bool { return strings.HasSuffix(f.name, "_test.go") }

func (f *file) imports(name string) bool {
	return slices.ContainsFunc(f.Imports, func(s *ast.ImportSpec) bool { return s.Path.Value == strconv.Quote(name) })
}

func (f *file) at(n ast.Node) string {
	return f.name + ":" + strconv.Itoa(f.set.Position(n.Pos()).Line)
}

// files parses all Go files of the project that somebody wrote.
func files(t *testing.T) []*file {
	t.Helper()
	root := filepath.Join("..", "..")
	var all []*file
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := d.Name()
		if d.IsDir() && name != root && (strings.HasPrefix(base, ".") || base == "testdata") {
			return fs.SkipDir
		}
		if d.IsDir() || filepath.Ext(base) != ".go" {
			return nil
		}
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, name, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		if ast.IsGenerated(parsed) {
			return nil
		}
		rel, err := filepath.Rel(root, name)
		all = append(all, &file{parsed, filepath.ToSlash(rel), set})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 50 {
		t.Fatalf("got %d files: the walk does not find the project", len(all))
	}
	return all
}

func layerOf(name string) layer {
	for dir := path.Dir(name); ; dir = path.Dir(dir) {
		if l, ok := layers[dir]; ok && (dir != "." || path.Dir(name) == ".") {
			return l
		}
		if dir == "." {
			return layer{}
		}
	}
}

// TestImportDirection keeps the layers apart. Tests of a layer may use the parts that tests need.
func TestImportDirection(t *testing.T) {
	t.Parallel()
	for _, f := range files(t) {
		l := layerOf(f.name)
		for _, s := range f.Imports {
			name, _ := strconv.Unquote(s.Path.Value)
			if why := l.forbids(f, name); why != "" {
				t.Errorf("%s imports %s: %s", f.at(s), name, why)
			}
		}
	}
}

// forbids says why the file may not import the package.
func (l layer) forbids(f *file, name string) string {
	own, ours := strings.CutPrefix(name+"/", module+"/")
	own = path.Clean(own)
	first, _, _ := strings.Cut(name, "/")
	switch {
	case ours && strings.HasPrefix(own, "cmd") && !strings.HasPrefix(f.name, "cmd/"):
		return "nothing imports the program"
	case f.test() && slices.Contains(append(ofTests, path.Dir(f.name)), own):
	case ours && l.own != nil && !slices.Contains(l.own, own):
		return "this layer may import of the project only " + strings.Join(l.own, ", ")
	case !ours && strings.Contains(first, ".") && !l.others:
		return "this layer needs the standard library only"
	case name == "net/http" && l.noHTTP && !f.test():
		return "this layer knows nothing of HTTP"
	}
	return ""
}

// TestTestsDoNotSleep finds tests that hope instead of waiting. In virtual time sleeping is waiting.
func TestTestsDoNotSleep(t *testing.T) {
	t.Parallel()
	for _, f := range files(t) {
		if !f.test() || f.imports("testing/synctest") {
			continue
		}
		ast.Inspect(f.File, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == "Sleep" {
				if p, ok := s.X.(*ast.Ident); ok && p.Name == "time" {
					t.Errorf("%s sleeps: use testing/synctest, or wait for a signal", f.at(n))
				}
			}
			return true
		})
	}
}

// TestNothingHappensByItself finds init functions.
func TestNothingHappensByItself(t *testing.T) {
	t.Parallel()
	for _, f := range files(t) {
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s: an init function", f.at(d))
			}
		}
	}
}

// TestExportsAreDocumented wants a comment that starts with the name. Methods that everybody knows need none.
func TestExportsAreDocumented(t *testing.T) {
	t.Parallel()
	for _, f := range files(t) {
		if f.test() || f.Name.Name == "main" {
			continue
		}
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && ast.IsExported(receiver(d)) && !wellKnown[d.Name.Name] && !names(d.Doc, d.Name.Name) {
					t.Errorf("%s: the comment of %s does not start with its name", f.at(d), d.Name.Name)
				}
			case *ast.GenDecl:
				for _, s := range d.Specs {
					if name, ok := undocumented(d, s); ok {
						t.Errorf("%s: %s has no comment", f.at(s), name)
					}
				}
			}
		}
	}
}

var wellKnown = map[string]bool{
	"String": true, "Error": true, "Unwrap": true, "Is": true, "Len": true, "Less": true, "Swap": true,
}

// receiver returns the name of the type that a method is of, and that of a function itself.
func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return d.Name.Name
	}
	name := d.Name.Name
	ast.Inspect(d.Recv.List[0].Type, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			name = id.Name
			return false
		}
		return true
	})
	return name
}

// undocumented returns the first exported name that has no comment. A comment on a group of constants or variables is one for
// all.
func undocumented(d *ast.GenDecl, s ast.Spec) (string, bool) {
	switch s := s.(type) {
	case *ast.TypeSpec:
		doc := s.Doc
		if doc == nil {
			doc = d.Doc
		}
		return s.Name.Name, s.Name.IsExported() && !names(doc, s.Name.Name)
	case *ast.ValueSpec:
		for _, name := range s.Names {
			if name.IsExported() && s.Doc == nil && s.Comment == nil && d.Doc == nil {
				return name.Name, true
			}
		}
	}
	return "", false
}

// names reports whether the comment starts with the name, after an article.
func names(doc *ast.CommentGroup, name string) bool {
	text := doc.Text()
	for _, article := range []string{"", "A ", "An ", "The "} {
		if strings.HasPrefix(text, article+name+" ") || strings.HasPrefix(text, article+name+",") {
			return true
		}
	}
	return false
}

// TestSizes keeps files and functions readable: 400 lines and 60.
func TestSizes(t *testing.T) {
	t.Parallel()
	for _, f := range files(t) {
		if f.test() {
			continue
		}
		if n := f.set.File(f.Pos()).LineCount(); n > 400 {
			t.Errorf("%s has %d lines, want at most 400", f.name, n)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil {
				first, last := f.set.Position(fn.Body.Lbrace).Line, f.set.Position(fn.Body.Rbrace).Line
				if n := last - first - 1; n > 60 {
					t.Errorf("%s: %s has %d lines, want at most 60", f.at(fn), fn.Name.Name, n)
				}
			}
		}
	}
}
