package sigstore

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/rego/cip"
)

// variant is a layer with one thing missing or wrong.
type variant struct {
	name  string
	layer Layer
}

// corruptions derives from a sound layer every layer with one part missing and
// every layer with one bit wrong in a field.
func corruptions(t testing.TB, layer Layer, format string) []variant {
	t.Helper()
	if format == FormatBundle {
		return documents(t, "bundle", layer.Content, func(data []byte) Layer { return Layer{Content: data} })
	}
	out := []variant{{"no content", Layer{Annotations: layer.Annotations}}}
	if layer.Annotations[annotationSignature] == "" { // an envelope, whose fields are signed but not its JSON
		out = append(out, documents(t, "content", layer.Content, func(data []byte) Layer { return Layer{Annotations: layer.Annotations, Content: data} })...)
	} else {
		for _, data := range flips(layer.Content) {
			out = append(out, variant{"content", Layer{Annotations: layer.Annotations, Content: data}})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(layer.Annotations)) {
		out = append(out, annotationCorruptions(t, layer, name)...)
	}
	return out
}

func annotationCorruptions(t testing.TB, layer Layer, name string) []variant {
	t.Helper()
	with := func(value string) Layer {
		annotations := maps.Clone(layer.Annotations)
		annotations[name] = value
		return Layer{Annotations: annotations, Content: layer.Content}
	}
	without := maps.Clone(layer.Annotations)
	delete(without, name)
	out := []variant{{"no " + name, Layer{Annotations: without, Content: layer.Content}}, {"blank " + name, with(" ")}, {"empty " + name, with("")}}
	value := layer.Annotations[name]
	switch {
	case strings.HasPrefix(value, "{"):
		return append(out, documents(t, name, []byte(value), func(data []byte) Layer { return with(string(data)) })...)
	case strings.HasPrefix(value, "-----BEGIN"):
		first, last := strings.Index(value, "\n")+1, strings.Index(value, "-----END")
		der, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(value[first:last], "\n", ""))
		if err != nil {
			t.Fatal(err)
		}
		for _, data := range flips(der) {
			out = append(out, variant{"bit of " + name, with(value[:first] + base64.StdEncoding.EncodeToString(data) + "\n" + value[last:])})
		}
	default:
		for _, data := range flips([]byte(value)) {
			out = append(out, variant{"bit of " + name, with(string(data))})
		}
	}
	return out
}

// documents derives from a JSON document all that lack a value, and all that
// have one bit wrong in one: in what base64 stands for, or in the text itself.
func documents(t testing.TB, name string, data []byte, layer func([]byte) Layer) []variant {
	t.Helper()
	var out []variant
	add := func(what string, document any) {
		encoded, err := json.Marshal(document)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, variant{name + " " + what, layer(encoded)})
	}
	var document any
	if err := json.Unmarshal(data, &document); err != nil {
		t.Fatal(err)
	}
	var walk func(path string, value any, set func(any))
	walk = func(path string, value any, set func(any)) {
		switch value := value.(type) {
		case map[string]any:
			for _, key := range slices.Sorted(maps.Keys(value)) {
				kept := value[key]
				delete(value, key)
				add("DOC"+path+"/"+key+" missing", document)
				value[key] = kept
				walk(path+"/"+key, kept, func(changed any) { value[key] = changed })
			}
		case []any:
			set([]any{})
			add("DOC"+path+" empty", document)
			set(value)
			for i, kept := range value {
				walk(fmt.Sprintf("%s/%d", path, i), kept, func(changed any) { value[i] = changed })
			}
		case float64:
			set(value + 1)
			add("DOC"+path+" plus one", document)
			set(value)
		case string:
			for _, changed := range textFlips(value) {
				set(changed)
				add("DOC"+path+" bit", document)
			}
			set(value)
		}
	}
	walk("", document, func(any) {})
	return out
}

func textFlips(text string) []string {
	var out []string
	if raw, err := base64.StdEncoding.DecodeString(text); err == nil && len(raw) > 8 {
		for _, data := range flips(raw) {
			out = append(out, base64.StdEncoding.EncodeToString(data))
		}
		return out
	}
	for _, data := range flips([]byte(text)) {
		out = append(out, string(data))
	}
	return out
}

// flips are copies of the data with one wrong bit, in every seventh byte. The
// evidence is another in every run, so others have their turn.
func flips(data []byte) [][]byte {
	var out [][]byte
	for i := 0; i < len(data); i += 7 {
		flipped := slices.Clone(data)
		flipped[i] ^= 1 << (i % 5) // not the highest: text stays text
		out = append(out, flipped)
	}
	return out
}

const entry = "bundle DOC/verificationMaterial/tlogEntries/0/"

// unsigned is what no signature covers and nothing is decided on: it may be
// missing or wrong, as long as the facts stay the same.
func unsigned() []string {
	return []string{
		// Annotations for people and for policies of others: not read.
		"predicateType", "dev.sigstore.cosign/chain",
		// Names of keys. The policy says which key it is.
		"bundle DOC/verificationMaterial/publicKey/hint", "content DOC/signatures/0/keyid",
		"bundle DOC/dsseEnvelope/signatures/0/keyid",
		// What the body says of itself counts.
		entry + "kindVersion",
		// The name before a checkpoint's signature: the log's key decides.
		entry + "inclusionProof/checkpoint/envelope",
		// Fields of the CMS message that its signature leaves out, as RFC 5652 has it.
		"bundle DOC/verificationMaterial/timestampVerificationData/rfc3161Timestamps/0/signedTimestamp",
		"dev.sigstore.cosign/rfc3161timestamp DOC/SignedRFC3161Timestamp",
	}
}

// rekor2Unsigned: the body is rebuilt from the bundle, and proved against the
// signed checkpoint.
func rekor2Unsigned() []string {
	return []string{
		entry + "canonicalizedBody", entry + "inclusionProof/rootHash",
		entry + "inclusionProof/treeSize", entry + "inclusionProof/logIndex",
	}
}

// TestEveryCorruptionIsRefused gives each check everything that can be made from
// evidence that it accepts by breaking one thing in it.
func TestEveryCorruptionIsRefused(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name      string
		authority func(*testing.T, *scene) cip.Authority
		evidence  string
		formats   []string
		unsigned  []string
	}{
		{"keyless", from(keyless()), release, []string{FormatLegacy, FormatBundle}, nil},
		{"keyless rekor2", from(keyless()), release + "log: rekor2, timestamp: true", []string{FormatBundle}, rekor2Unsigned()},
		{"keyless timestamp", from(withTimestamp(keyless())), release + "log: none, timestamp: true", []string{FormatLegacy, FormatBundle}, nil},
		// A key needs no time, so promise or proof will do.
		{"key and log", keyedAnd(withLog), keySign, []string{FormatLegacy, FormatBundle}, []string{entry + "inclusionPromise"}},
		{"key", keyedAnd(), keySign + "log: none", []string{FormatLegacy, FormatBundle}, nil},
	} {
		for _, format := range test.formats {
			for _, attestation := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s %s attestation=%t", test.name, format, attestation), func(t *testing.T) {
					t.Parallel()
					kind := "signatures: [{"
					if attestation {
						kind = "attestations: [{predicateType: " + testType + ", "
					}
					s := open(t, kind+strings.TrimSuffix(test.evidence, ", ")+", format: "+format+"}]")
					refuseCorruptions(t, s, s.check(t, test.authority(t, s)), format, attestation, append(unsigned(), test.unsigned...))
				})
			}
		}
	}
}

func refuseCorruptions(t *testing.T, s *scene, c *Check, format string, attestation bool, unsigned []string) {
	t.Helper()
	sound := s.evidence(t, format, attestation)[0]
	want, refusal := s.one(t, c, sound, format, attestation)
	if refusal != nil {
		t.Fatal(refusal)
	}
	passed := map[string]int{}
	all := corruptions(t, sound, format)
	for _, v := range all {
		got, refusal := s.one(t, c, v.layer, format, attestation)
		if refusal != nil {
			continue
		}
		if diff := cmp.Diff(sameEntry(*want), sameEntry(*got)); diff != "" {
			t.Errorf("accepted with other facts: %s\n%s", v.name, diff)
		}
		name := v.name
		for _, prefix := range []string{"no ", "blank ", "empty ", "bit of "} {
			name = strings.TrimPrefix(name, prefix)
		}
		if attestation && name == annotationSignature {
			continue // an envelope carries its own
		}
		if !slices.ContainsFunc(unsigned, func(allowed string) bool { return strings.HasPrefix(name, allowed) }) {
			passed[v.name]++
		}
	}
	t.Logf("%d variants", len(all))
	for _, name := range slices.Sorted(maps.Keys(passed)) {
		t.Errorf("accepted %d times: %s", passed[name], name)
	}
}

// sameEntry leaves out what may differ when only unsigned parts do: the name of
// the evidence as a whole, and how much is proved of the log entry.
func sameEntry(s Signature) Signature {
	s.ID, s.Digest, s.Log = "", "", slices.Clone(s.Log)
	for i := range s.Log {
		s.Log[i] = LogFact{LogID: s.Log[i].LogID}
	}
	return s
}
