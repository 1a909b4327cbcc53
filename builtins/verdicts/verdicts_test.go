package verdicts_test

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/assay-dev/assay/builtins/keep"
	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/sigstore"
	"github.com/assay-dev/assay/builtins/verdicts"
	"github.com/assay-dev/assay/rego/cip"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func place(t *testing.T, repository, prefix string) oci.Place {
	t.Helper()
	out, err := oci.ParsePlace(repository, prefix)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// asked is a question with something of everything that matters.
func asked(t *testing.T) verdicts.Question {
	t.Helper()
	return verdicts.Question{
		Credentials: "shop", Image: "ghcr.io/acme/app@sha256:1", Place: place(t, "ghcr.io/acme/sigs", "rel-"), Trust: "root", Evidence: []string{"sha256:2"},
		Authority: cip.Authority{Name: "release", Keyless: &cip.KeylessRef{Identities: []cip.Identity{{Issuer: "i", Subject: "s"}}}},
	}
}

// TestVerdictServesNoOtherQuestion: whatever differs, a field of an authority too, it is verified.
func TestVerdictServesNoOtherQuestion(t *testing.T) {
	t.Parallel()
	var looked keep.Looked
	store := verdicts.New(&looked)
	store.Put(asked(t), verdicts.Verdict{Found: []sigstore.Signature{{ID: "1"}}})
	if _, ok := store.Get(asked(t), noon); !ok || looked.Hits() != 1 {
		t.Fatal("got no verdict for the same question")
	}
	others := 0
	refuse := func(what string, q verdicts.Question) {
		others++
		if _, ok := store.Get(q, noon); ok {
			t.Errorf("%s: got the verdict of another question", what)
		}
	}
	for name, other := range map[string]oci.Place{
		"beside the image": {}, "another repository": place(t, "ghcr.io/acme/else", "rel-"),
		"another registry": place(t, "quay.io/acme/sigs", "rel-"), "another prefix": place(t, "ghcr.io/acme/sigs", "rc-"),
	} {
		q := asked(t)
		q.Place = other
		refuse(name, q)
	}
	for i := range reflect.TypeFor[verdicts.Question]().NumField() {
		name := reflect.TypeFor[verdicts.Question]().Field(i).Name
		if name == "Place" {
			continue // above
		}
		for n := 0; ; n++ { // the nth leaf below the field
			q, at := asked(t), n
			path, ok := change(reflect.ValueOf(&q).Elem().Field(i), name, &at)
			if !ok {
				break
			}
			refuse(path, q)
		}
	}
	if int(looked.Misses()) != others || others < 40 {
		t.Errorf("got %d misses of %d other questions, want all of at least 40", looked.Misses(), others)
	}
}

// change makes the nth leaf of a value another, what has to be there made on the way.
func change(v reflect.Value, path string, n *int) (string, bool) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if out, ok := change(v.Field(i), path+"."+v.Type().Field(i).Name, n); ok {
				return out, true
			}
		}
		return "", false
	case reflect.Pointer:
		if v.IsNil() {
			was := reflect.New(v.Type().Elem())
			if out, ok := change(was.Elem(), path, n); ok {
				v.Set(was)
				return out, true
			}
			return "", false
		}
		return change(v.Elem(), path, n)
	case reflect.Slice:
		if v.Len() == 0 {
			was := reflect.MakeSlice(v.Type(), 1, 1)
			if out, ok := change(was.Index(0), path+"[0]", n); ok {
				v.Set(was)
				return out, true
			}
			return "", false
		}
		return change(v.Index(0), path+"[0]", n)
	}
	if *n--; *n >= 0 {
		return "", false
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Uint8:
		v.SetUint(v.Uint() + 1)
	default:
		panic(fmt.Sprintf("%s: got a %s", path, v.Kind()))
	}
	return path, true
}

// TestPartsOfAQuestionDoNotRunIntoEachOther, whoever chooses them.
func TestPartsOfAQuestionDoNotRunIntoEachOther(t *testing.T) {
	t.Parallel()
	for _, pair := range [][2]verdicts.Question{
		{{Credentials: `a" "b`}, {Credentials: "a", Image: "b"}},
		{{Image: "a", Trust: "b"}, {Image: `a" "" "b`}},
		{{Evidence: []string{"a", "b"}}, {Evidence: []string{`a" "b`}}},
		{{Evidence: []string{"a"}}, {Trust: "a"}},
		{{Attestations: true}, {Anchored: true}},
	} {
		store := verdicts.New(nil)
		store.Put(pair[0], verdicts.Verdict{})
		if _, ok := store.Get(pair[1], noon); ok {
			t.Errorf("got the verdict of %+v for %+v", pair[0], pair[1])
		}
	}
}

// TestVerdictEndsWithItsTime, the earliest of all signatures.
func TestVerdictEndsWithItsTime(t *testing.T) {
	t.Parallel()
	store := verdicts.New(nil)
	store.Put(asked(t), verdicts.Verdict{Found: []sigstore.Signature{{ID: "1"}, {ID: "2", ValidUntil: noon}}})
	if _, ok := store.Get(asked(t), noon.Add(-time.Second)); !ok {
		t.Error("got no verdict before its time, want it")
	}
	if _, ok := store.Get(asked(t), noon); ok {
		t.Error("got a verdict at its time, want none")
	}
}
