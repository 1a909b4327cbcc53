package exchange

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"github.com/assay-dev/assay/builtins/oci"
)

// Tape is all that was noted while a decision was made.
type Tape struct {
	// Session is the ID of the credentials that the decision had.
	Session string
	// Logs are those of all answers that the decision saw.
	Logs []*Log
	// Judged are the policies inside policies that had no verdict for lack of time.
	Judged []Given
	// Pulled are the pull secrets that were asked for, As the ID of what they came to.
	Pulled []Pulled
}

// The aliases of credentials. An ID may be a hash over what is secret, from which a
// weak secret could be guessed, so none is written.
const (
	aliasSession = "session"
	aliasPulled  = "pull-secrets-"
)

// NotRecorded names the calls that a replay had no answer to.
func (t Tape) NotRecorded() []string {
	var out []string
	for _, log := range t.Logs {
		out = append(out, log.NotRecorded()...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Records is the tape to be written: every exchange once, in an order that depends on
// nothing but the exchanges. keep takes bytes and gives their digest.
func (t Tape) Records(keep func([]byte) string) (Records, error) {
	out := Records{Judged: slices.SortedFunc(slices.Values(t.Judged), func(a, b Given) int { return cmp.Compare(a.Question, b.Question) })}
	alias := t.aliases(&out)
	logs := slices.SortedFunc(slices.Values(t.Logs), func(a, b *Log) int { return cmp.Compare(a.question, b.question) })
	index := map[string]int{}
	for _, log := range logs {
		answered := Answered{Question: Name(log.question), Given: log.Given()}
		var records []Record
		for _, e := range log.Exchanges() {
			record, err := e.Written(keep)
			if err != nil {
				return out, err
			}
			record.As = alias(record.As)
			records = append(records, record)
		}
		slices.SortFunc(records, func(a, b Record) int { return cmp.Compare(a.key(), b.key()) })
		for _, record := range records {
			whole := fmt.Sprintf("%s %s", record.key(), record.Answer)
			if record.Error != nil {
				whole = fmt.Sprintf("%s %q", record.key(), *record.Error)
			}
			at, known := index[whole]
			if !known {
				at = len(out.Exchanges)
				index[whole] = at
				out.Exchanges = append(out.Exchanges, record)
			}
			answered.Exchanges = append(answered.Exchanges, at)
		}
		out.Questions = append(out.Questions, answered)
	}
	return out, nil
}

// aliases puts names in the place of IDs, and adds the pull secrets to the records.
func (t Tape) aliases(out *Records) func(id string) string {
	names := map[string]string{t.Session: aliasSession}
	names[""] = "" // anonymous
	pulled := slices.SortedFunc(slices.Values(t.Pulled), func(a, b Pulled) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), slices.Compare(a.Names, b.Names))
	})
	pulled = slices.CompactFunc(pulled, func(a, b Pulled) bool { return a.Namespace == b.Namespace && slices.Equal(a.Names, b.Names) })
	for _, p := range pulled {
		if _, known := names[p.As]; !known {
			names[p.As] = aliasPulled + strconv.Itoa(len(names))
		}
		p.As = names[p.As]
		out.Pulled = append(out.Pulled, p)
	}
	return func(id string) string {
		if name, known := names[id]; known {
			return name
		}
		return "unknown"
	}
}

// SessionAlias are the credentials of a decision that is made again: a name, as
// long as there were any.
func SessionAlias(records Records) oci.Credentials {
	for _, record := range records.Exchanges {
		if record.As == aliasSession {
			return oci.Credentials{ID: aliasSession}
		}
	}
	return oci.Credentials{}
}
