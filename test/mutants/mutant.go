package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// A mutant is one planted bug. Its file reads
//
//	A sentence that says what is wrong.
//	file: protocol.go
//	test: ./memstore -run TestStore/Token
//	--- old
//	text that occurs once in the file
//	--- new
//	what stands there instead
//
// The test is what go test gets: packages and flags. More than one pair of old and new is allowed; a further file: line
// before a pair changes the file.
type mutant struct {
	Name        string
	Description string
	Test        []string
	Edits       []edit
}

type edit struct{ file, old, new string }

func load(fsys fs.FS) ([]mutant, error) {
	names, err := fs.Glob(fsys, "planted/*.txt")
	if err != nil {
		return nil, err
	}
	mutants := make([]mutant, 0, len(names))
	for _, name := range names {
		text, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, err
		}
		m, err := parse(strings.TrimSuffix(path.Base(name), ".txt"), string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		mutants = append(mutants, m)
	}
	return mutants, nil
}

func parse(name, text string) (mutant, error) {
	m := mutant{Name: name}
	file := ""
	var into *string // the part of an edit that lines go to
	for line := range strings.Lines(text) {
		field, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch {
		case line == "--- old\n":
			m.Edits = append(m.Edits, edit{file: file})
			into = &m.Edits[len(m.Edits)-1].old
		case line == "--- new\n" && len(m.Edits) > 0:
			into = &m.Edits[len(m.Edits)-1].new
		case field == "file" && (into == nil || line[0] == 'f'):
			file, into = value, nil
		case into != nil:
			*into += line
		case field == "test":
			m.Test = strings.Fields(value)
		default:
			m.Description = strings.TrimSpace(m.Description + " " + strings.TrimSpace(line))
		}
	}
	return m, m.validate()
}

func (m *mutant) validate() error {
	if m.Description == "" || len(m.Test) == 0 || len(m.Edits) == 0 {
		return errors.New("it needs a description, a test: line and a pair of --- old and --- new")
	}
	for _, e := range m.Edits {
		if e.file == "" || e.old == "" || e.old == e.new {
			return errors.New("an edit needs a file: line, an old text, and a new one that differs")
		}
	}
	return nil
}
