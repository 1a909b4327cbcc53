package sigstore

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// TestRefusalsAreShort: what a library repeats of hostile content does not fill
// answers and logs.
func TestRefusalsAreShort(t *testing.T) {
	t.Parallel()
	s := open(t, `signatures: [{signer: release}]`)
	a := keyless()
	a.SignatureFormat = "any"
	c := s.check(t, a)
	hostile := []Layer{
		{Content: []byte(`{"` + strings.Repeat("é", 4<<20) + `":1}`)},
		{Content: []byte(`{"mediaType":"` + strings.Repeat("x", 4<<20) + `"}`)},
	}
	for range 20 {
		hostile = append(hostile, Layer{Content: []byte(`{"mediaType":"` + strings.Repeat("y", 1<<10+len(hostile)) + `"}`)})
	}
	_, refusal := c.Signatures(s.digest, []Evidence{{FormatBundle, hostile}})
	if refusal == nil || len(refusal.Message) > longestSummary+8 || !utf8.ValidString(refusal.Message) {
		t.Errorf("got %d bytes, want at most %d of valid UTF-8", len(refusal.Message), longestSummary)
	}
}

// TestMissingLayerDoesNotHideAGoodOne, and is the reason when there is none.
func TestMissingLayerDoesNotHideAGoodOne(t *testing.T) {
	t.Parallel()
	s := open(t, `signatures: [{signer: release}]`)
	c := s.check(t, keyless())
	missing := Layer{Missing: &Refusal{Code: "timeout", Message: "blob: no answer"}}
	good := s.legacy(t, "sig")
	if _, refusal := c.Signatures(s.digest, []Evidence{{FormatLegacy, append([]Layer{missing}, good...)}}); refusal != nil {
		t.Errorf("a good layer after a missing one: got %v", refusal)
	}
	bad := Layer{Content: []byte("{}"), Annotations: map[string]string{annotationSignature: "AAAA"}}
	if _, refusal := c.Signatures(s.digest, []Evidence{{FormatLegacy, []Layer{bad, missing}}}); codeOf(refusal) != "timeout" {
		t.Errorf("a bad layer and a missing one: got %v, want the code of what may have been the good one", refusal)
	}
}
