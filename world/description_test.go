package world_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/world"
)

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	signing := func(fields string) string { return withImage("signatures", "{"+fields+"}") }
	attesting := func(fields string) string { return withImage("attestations", "{"+fields+"}") }
	tests := map[string]struct{ yaml, want string }{
		"not YAML":                      {"signers: [", "yaml:"},
		"a repeated field":              {"signers: {}\nsigners: {}", `"signers" already set`},
		"an unknown field":              {"sigers: {}", `unknown field "sigers"`},
		"an unknown field of a signer":  {"signers: {a: {isuer: x}}", `unknown field "signers.a.isuer"`},
		"an unknown field of evidence":  {signing("signer: release, falt: expired"), `unknown field "images.app.signatures[0].falt"`},
		"a field in another case":       {signing("Signer: release"), `unknown field "images.app.signatures[0].Signer"`},
		"a clock that is no time":       {"clock: soon", `"soon"`},
		"a clock before X.509":          {"clock: 1950-01-01T00:00:00Z", "clock: got year 1950, want 2001 to 9900"},
		"a path that leads out":         {"images: {app: {files: {../a: b}}}", "images.app.files.../a: got a path"},
		"a path twice":                  {"images: {app: {files: {/a: b, a: c}}}", "images.app.files./a: got a path"},
		"a subject that is not ASCII":   {"signers: {a: {issuer: i, subject: jané@example.com}}", "signers.a.subject: got \"jané@example.com\", want printable ASCII"},
		"unknown referrers":             {"referrers: maybe", `referrers: got "maybe", want api or tag`},
		"a signer without issuer":       {"signers: {a: {subject: a@example.com}}", "signers.a.issuer: got nothing"},
		"a signer without subject":      {"signers: {a: {issuer: https://example.com}}", `signers.a.subject: got "", want an e-mail address, a URI or name!domain`},
		"a signer's odd subject":        {"signers: {a: {issuer: i, subject: jane}}", `signers.a.subject: got "jane"`},
		"an unknown key":                {"signers: {a: {key: rsa}}", `signers.a.key: got "rsa", want ecdsa-p256`},
		"a key with an identity":        {"signers: {a: {key: ecdsa-p256, issuer: i}}", "signers.a: got a key and an identity"},
		"an unknown extension":          {"signers: {a: {issuer: i, subject: a@b, extensions: {workflow: x}}}", "signers.a.extensions.workflow: got an unknown extension"},
		"a signer's odd name":           {"signers: {A b: {key: ecdsa-p256}}", `signers.A b: got name "A b"`},
		"an image called registry":      {"images: {registry: {}}", `images.registry: got name "registry"`},
		"an odd repository":             {"images: {app: {repository: Acme}}", `images.app: got repository "Acme"`},
		"an odd tag":                    {"images: {app: {tag: a b}}", `tag "a b"`},
		"two images of one tag":         {"images: {a: {repository: x}, b: {repository: x}}", "images.b: got x:latest, which is image a already"},
		"an odd platform":               {"images: {app: {platforms: [linux]}}", `images.app.platforms[0]: got "linux", want os/architecture`},
		"a platform twice":              {"images: {app: {platforms: [linux/arm64, linux/arm64]}}", "images.app.platforms[1]"},
		"evidence from nowhere":         {"images: {app: {evidenceFrom: b}}", `images.app.evidenceFrom: got "b"`},
		"evidence from itself":          {"images: {app: {evidenceFrom: app}}", `images.app.evidenceFrom: got "app"`},
		"evidence in an odd repository": {"images: {app: {evidenceIn: {repository: A}}}", `images.app.evidenceIn.repository: got "A"`},
		"evidence under an odd tag":     {"images: {app: {evidenceIn: {tagPrefix: a/b}}}", `images.app.evidenceIn.tagPrefix: got "a/b"`},
		"an unknown signer":             {signing("signer: nobody"), `images.app.signatures[0].signer: got "nobody", want one of deploy, laptop, release`},
		"an unknown format":             {signing("signer: release, format: v3"), `images.app.signatures[0].format: got "v3"`},
		"an unknown log":                {signing("signer: release, log: rekor3"), `images.app.signatures[0].log: got "rekor3"`},
		"Rekor v2 in the legacy format": {signing("signer: release, log: rekor2"), "images.app.signatures[0].log: got rekor2 in the legacy format"},
		"too many copies":               {signing("signer: release, copies: 100000"), "images.app.signatures[0].copies: got 100000, want 0 to 2000"},
		"an unknown fault":              {signing("signer: release, fault: late"), `images.app.signatures[0].fault: got "late", want one of`},
		"an attestation without type":   {attesting("signer: release"), "images.app.attestations[0].predicateType: got nothing"},
		"an unknown entry":              {attesting("signer: release, predicateType: p, entry: rekord"), `images.app.attestations[0].entry: got "rekord"`},
		"an entry in Rekor v2":          {attesting("signer: release, predicateType: p, entry: dsse, log: rekor2, format: bundle"), "images.app.attestations[0].entry"},

		"an unknown content":       {signing("signer: release, format: bundle, content: text"), `images.app.signatures[0].content: got "text", want envelope or message`},
		"a message without bundle": {signing("signer: release, content: message"), "images.app.signatures[0].content: got message in the legacy format"},
		"an attestation's content": {attesting("signer: release, predicateType: p, format: bundle, content: message"), `unknown field "images.app.attestations[0].content"`},

		"missing-sct of a key":                {signing("signer: deploy, fault: missing-sct"), "images.app.signatures[0].fault: missing-sct needs a keyless signer"},
		"blank-certificate in a bundle":       {signing("signer: release, format: bundle, fault: blank-certificate"), "blank-certificate needs a keyless signer and the legacy format"},
		"wrong-log without log":               {signing("signer: release, log: none, fault: wrong-log"), "wrong-log needs a log"},
		"set-tampered in Rekor v2":            {signing("signer: release, format: bundle, log: rekor2, fault: set-tampered"), "set-tampered needs log: rekor"},
		"bundle-not-a-string in a bundle":     {signing("signer: release, format: bundle, fault: bundle-not-a-string"), "bundle-not-a-string needs log: rekor and the legacy format"},
		"wrong-payload-type without envelope": {signing("signer: release, fault: wrong-payload-type"), "wrong-payload-type needs an envelope"},
		"wrong-payload-type of a message":     {signing("signer: release, format: bundle, content: message, fault: wrong-payload-type"), "wrong-payload-type needs an envelope"},
		"timestamp-unknown without timestamp": {signing("signer: release, fault: timestamp-unknown"), "timestamp-unknown needs timestamp: true"},
		"the second of two":                   {signing("signer: release}, {signer: nobody"), "images.app.signatures[1].signer"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := world.Parse([]byte(test.yaml))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %s", err, test.want)
			}
		})
	}
}

func TestParseReportsEverythingAtOnce(t *testing.T) {
	t.Parallel()
	_, err := world.Parse([]byte("referrers: maybe\nimages: {app: {tag: a b, signatures: [{signer: x}]}}"))
	if err == nil {
		t.Fatal("got no error")
	}
	if got, want := strings.Count(err.Error(), "world: "), 3; got != want {
		t.Errorf("got %d problems, want %d:\n%v", got, want, err)
	}
}

func TestNewRefusesWhatParseRefuses(t *testing.T) {
	t.Parallel()
	for _, d := range []*world.Description{nil, {Referrers: "maybe"}} {
		if _, err := world.New(d); err == nil {
			t.Errorf("got no error for %+v", d)
		}
	}
}

func TestNewLeavesTheDescriptionAlone(t *testing.T) {
	t.Parallel()
	parse := func() *world.Description {
		d, err := world.Parse([]byte(withImage("signatures", "{signer: release}")))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	got, want := parse(), parse()
	w, err := world.New(got)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Close() }()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestExamplesAreWorlds(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("got %d examples, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			w := open(t, string(data))
			trustedMaterial(t, w)
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(withImage("signatures", "{signer: release, fault: expired}")))
	f.Add([]byte(withImage("attestations", "{signer: deploy, predicateType: p, predicate: {a: [1]}}")))
	f.Add([]byte("clock: 2026-06-01T12:00:00Z\nimages: {a: {platforms: [linux/amd64]}, b: {evidenceFrom: a}}"))
	f.Add([]byte("images: {? [a] : b}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := world.Parse(data)
		if err != nil {
			return
		}
		if minted := count(d); minted > 20 {
			t.Skipf("%d pieces of evidence", minted)
		}
		// What Parse accepts, New can make, but for the finer points of X.509.
		w, err := world.New(d)
		if err != nil && strings.Contains(err.Error(), "x509: ") {
			return // a subject that X.509 does not take
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func count(d *world.Description) (n int) {
	for _, i := range d.Images {
		n += 1 + len(i.Platforms) + len(i.Files)
		for _, s := range i.Signatures {
			n += 1 + s.Copies
		}
		for _, a := range i.Attestations {
			n += 1 + a.Copies
		}
	}
	return n
}

func TestClockIsTheWorldsAndNotTheMachines(t *testing.T) {
	t.Parallel()
	for _, clock := range []string{"2019-05-05T00:00:00Z", "2044-02-29T23:59:59+05:00"} {
		w := open(t, "clock: "+clock+"\n"+withImage("signatures",
			"{signer: release, timestamp: true}, {signer: release, format: bundle, log: rekor2, timestamp: true}"))
		layer := legacy(t, w, "app", "sig")[0]
		checkRefusal(t, verifyLegacy(t, w, "app", layer, keyless()), "")
		result, err := verifyBundle(t, w, "app", bundles(t, w, "app")[0], "")
		if err != nil {
			t.Fatal(err)
		}
		want, err := time.Parse(time.RFC3339, clock)
		if err != nil {
			t.Fatal(err)
		}
		if got := result.VerifiedTimestamps[0].Timestamp; !got.Equal(want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
