package config

import (
	"errors"
	"strconv"
	"strings"

	"github.com/refrain-dev/refrain/refrainhttp"
)

// marks is a kind of lists of header lines in which the default ones are not shown.
func marks() kind[[]string] {
	k := list(mark())
	usual := k.show(refrainhttp.Policy{}.WithDefaults().Answers.Marks)
	show := k.show
	k.show = func(lines []string) string {
		if s := show(lines); s != usual {
			return s
		}
		return ""
	}
	return k
}

// answerFields are the settings about how answers are marked and worded.
func (p *Policy) answerFields() []field {
	a := &p.Answers
	fields := []field{
		bind(p.origins, "answers.marks", &a.Marks, marks()),
		bind(p.origins, "answers.outcome_marks", &a.OutcomeMarks, quiet(list(mark()))),
		bind(p.origins, "answers.release_marks", &a.ReleaseMarks, quiet(list(mark()))),
	}
	for _, w := range answersOf(a) {
		name := "answers." + w.name + "."
		fields = append(fields,
			bind(p.origins, name+"status", &w.answer.Status, quiet(answerStatus())),
			bind(p.origins, name+"code", &w.answer.Code, text()),
			bind(p.origins, name+"detail", &w.answer.Detail, text()),
			bind(p.origins, name+"header", &w.answer.Header, quiet(list(answerLine()))),
			bind(p.origins, name+"body", &w.answer.Body, answerBody()),
		)
	}
	return fields
}

// A namedAnswer is one with its name in the file.
type namedAnswer struct {
	name   string
	answer *refrainhttp.Answer
}

func answersOf(a *refrainhttp.Answers) []namedAnswer {
	return []namedAnswer{
		{"problem", &a.Problem},
		{"key_missing", &a.KeyMissing},
		{"key_invalid", &a.KeyInvalid},
		{"mismatch", &a.Mismatch},
		{"in_progress", &a.InProgress},
		{"unknown", &a.Unknown},
		{"expired", &a.Expired},
		{"not_replayable", &a.NotReplayable},
		{"unavailable", &a.Unavailable},
		{"body_too_large", &a.BodyTooLarge},
		{"body_broken", &a.BodyBroken},
		{"unsupported", &a.Unsupported},
		{"too_late", &a.TooLate},
		{"unverified", &a.Unverified},
		{"repeat", &a.Repeat},
		{"unreachable", &a.Unreachable},
		{"unanswered", &a.Unanswered},
	}
}

// mark is a kind of header lines that mark answers.
func mark() kind[string] {
	return spoken(func(text string) refrainhttp.Answers { return refrainhttp.Answers{Marks: []string{text}} })
}

// answerLine is a kind of header lines of one answer.
func answerLine() kind[string] {
	return spoken(func(text string) refrainhttp.Answers {
		return refrainhttp.Answers{Mismatch: refrainhttp.Answer{Header: []string{text}}}
	})
}

// answerBody is a kind of templates of bodies, of a media type that is not known yet.
func answerBody() kind[string] {
	return spoken(func(text string) refrainhttp.Answers {
		return refrainhttp.Answers{Mismatch: refrainhttp.Answer{Body: text, Header: []string{"Content-Type: text/plain"}}}
	})
}

// answerStatus is a kind of statuses of answers.
func answerStatus() kind[int] {
	k := integer(200, 599)
	parse := func(text string) (int, error) {
		n, err := strconv.Atoi(text)
		if err == nil && n >= 200 && n < 600 {
			err = speakable(refrainhttp.Answers{Mismatch: refrainhttp.Answer{Status: n}})
		}
		return n, err
	}
	checked := scalar(parse, strconv.Itoa)
	read := func(v value) (int, bool) {
		if n, ok := k.read(v); !ok {
			return n, false
		}
		return checked.read(v)
	}
	return kind[int]{read: read, show: k.show}
}

// spoken is a kind of texts that answers have.
func spoken(in func(text string) refrainhttp.Answers) kind[string] {
	return scalar(func(text string) (string, error) { return text, speakable(in(text)) }, strings.Clone)
}

// speakable returns what is wrong with one part of answers.
func speakable(a refrainhttp.Answers) error { return fault(&refrainhttp.Policy{Answers: a}) }

// fault returns what is wrong with a policy that says one thing, without where that is.
func fault(p *refrainhttp.Policy) error {
	err := p.Validate()
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	return err
}

// checkAnswers sees to it that what is said is ever said, and is of its media type.
func (p *Policy) checkAnswers() (all []contradiction) {
	if field := p.firstGiven("answers.repeat."); field != "" && p.Answers.Repeat.Status == 0 {
		all = contradict(field, "has no effect without answers.repeat.status, what the retry of a success is answered with")
	}
	problem := p.Answers.Problem
	for _, w := range answersOf(&p.Answers) {
		body, header := "answers."+w.name+".body", "answers."+w.name+".header"
		err := speakable(refrainhttp.Answers{Problem: problem, Mismatch: *w.answer})
		switch {
		case err == nil:
			continue
		case p.given(body):
			all = append(all, contradict(body, "%s", err)...)
		case p.given(header):
			all = append(all, contradict(header, "does not go with the body (%s): %s", p.origins["answers.problem.body"], err)...)
		}
		if w.name == "problem" {
			problem.Body = "" // which is wrong once, not in every answer
		}
	}
	return all
}
