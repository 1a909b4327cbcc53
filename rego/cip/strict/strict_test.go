package strict_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/rego/cip/strict"
)

type document struct {
	Name   string            `json:"name"`
	Yes    *bool             `json:"yes"`
	Data   []byte            `json:"data"`
	URL    strict.URL        `json:"url"`
	At     time.Time         `json:"at"`
	Labels map[string]string `json:"labels"`
	List   []document        `json:"list"`
	Any    any               `json:"any"`
}

func TestDecode(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, data string
		want       []strict.Problem
	}{
		{"everything", `{name: a, yes: true, data: YQ==, url: "https://x", at: 2026-01-02T03:04:05Z, labels: {a: b}, list: [{name: b}], any: [1]}`, nil},
		{"null is absent", `{name: null, data: null, url: null, list: null}`, nil},
		{"unknown field", `{list: [{nam: x}]}`, []strict.Problem{{Path: "list[0].nam", Message: `json: unknown field "nam"`}}},
		{"wrong type", `{yes: "true"}`, []strict.Problem{{Path: "yes", Message: "got a string, want a boolean"}}},
		{"empty URL", `{url: ""}`, []strict.Problem{{Path: "url", Message: "got an empty string, want a URL"}}},
		{"label that is no string", `{labels: {a: 1}}`, []strict.Problem{{Path: "labels.a", Message: "got a number, want a string"}}},
		{"bytes that are no base64", `{data: "?"}`, []strict.Problem{{Path: "data", Message: "illegal base64 data at input byte 0"}}},
		{"time without a zone", `{at: 2026-01-02}`, []strict.Problem{{Path: "at", Message: "got 2026-01-02, want a time as in 2006-01-02T15:04:05Z"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			trees, err := strict.Stream([]byte(tt.data))
			if err != nil {
				t.Fatal(err)
			}
			var out document
			if diff := cmp.Diff(tt.want, strict.Decode(trees[0], &out)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func TestStreamNamesTheDocument(t *testing.T) {
	t.Parallel()
	_, err := strict.Stream([]byte("a: b\n---\na: b\na: c\n"))
	var syntax *strict.SyntaxError
	if !errors.As(err, &syntax) {
		t.Fatalf("got error %v, want a SyntaxError", err)
	}
	want := strict.SyntaxError{Index: 1, Text: `decoding object[1]: line 4: key "a" already set in map`}
	if *syntax != want {
		t.Errorf("got %+v, want %+v", *syntax, want)
	}
}
