package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/assay-dev/assay/cmd/assay/reviews"
	"github.com/assay-dev/assay/cmd/assay/wiring"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/world"
)

// update rewrites want/ of every story: go test ./cmd/assay -run Stories -update
var update = flag.Bool("update", false, "write the golden files anew")

// hashOfEvidence is what is new in every world: the name of a signature, or the
// hash of a payload. Digests of images have an algorithm before them and stay.
var hashOfEvidence = regexp.MustCompile(`"[0-9a-f]{64}(\\?")`)

// story is one file of testdata/cases: a world, policies and a question to them.
//
//	world.yaml          what is in the registry, see package world; its Sigstore is
//	                    the default root, and the TrustRoot named world
//	policy.yaml         ClusterImagePolicies and TrustRoots
//	images              references, one a line; or
//	review.json         an AdmissionReview
//	config.json         what deviates from `assay verify`, see storyConfig
//	want/decision.json  the decision
//	want/text           the same as `assay verify` prints it
//	want/explain        where it is there, the same as `assay explain` prints it
//	want/error          instead of both, why there is no decision
//
// Variables of the world (${app}, ${key:deploy}, …) may stand in all but the first.
type story struct {
	path    string
	archive *txtar.Archive
	world   *world.World
}

// storyConfig is config.json.
type storyConfig struct {
	NoMatch        string `json:"no_match"`
	Tags           string `json:"tags"`
	IdentityRegexp string `json:"identity_regexp"`
	InlinePolicies string `json:"inline_policies"`
}

// TestStories decides every story twice, cold and warm, and wants the same bytes:
// those of want/.
func TestStories(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../testdata/cases/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("got %d stories and %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			s := openStory(t, file)
			decision, text, explained, err := s.tell(t)
			if err != nil {
				s.want(t, map[string]string{"want/error": err.Error() + "\n"})
				return
			}
			got := map[string]string{"want/decision.json": decision, "want/text": text}
			if s.file("want/explain") != nil {
				got["want/explain"] = explained
			}
			s.want(t, got)
			s.tellByCommandLine(t, text)
		})
	}
}

func openStory(t *testing.T, file string) *story {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := &story{path: file, archive: archive}
	if len(archive.Comment) == 0 {
		t.Error("got no comment at the top, want what the story is about")
	}
	for _, f := range archive.Files {
		switch f.Name {
		case "world.yaml", "policy.yaml", "images", "review.json", "config.json", "want/decision.json", "want/text", "want/explain", "want/error":
		default:
			t.Errorf("got a file %s, which no story has", f.Name)
		}
	}
	description, err := world.Parse(s.file("world.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if s.world, err = world.New(description); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.world.Close() })
	return s
}

// file is the content of a file of the story, nil when there is none.
func (s *story) file(name string) []byte {
	for _, f := range s.archive.Files {
		if f.Name == name {
			return f.Data
		}
	}
	return nil
}

func (s *story) config(t *testing.T) (config storyConfig) {
	t.Helper()
	if data := s.file("config.json"); data != nil {
		decoder := json.NewDecoder(bytes.NewReader(data))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&config); err != nil {
			t.Fatal(err)
		}
	}
	return config
}

func (s *story) images() []string {
	return strings.FieldsFunc(s.world.Expand(string(s.file("images"))), isNewline)
}

func isNewline(r rune) bool { return r == '\n' }

// tell is the decision of the story, in JSON and in words, and its explanation.
func (s *story) tell(t *testing.T) (decision, text, explained string, err error) {
	t.Helper()
	config, dir := s.config(t), s.lay(t)
	w, err := wiring.New(wiring.Flags{
		Policies:    []string{filepath.Join(dir, "policy.yaml")},
		TrustRoots:  []string{filepath.Join(dir, "trustroot.yaml")},
		TrustedRoot: filepath.Join(dir, "root.json"),
		NoMatch:     cmp.Or(config.NoMatch, "deny"), IdentityRegexp: cmp.Or(config.IdentityRegexp, "upstream"), InlinePolicies: cmp.Or(config.InlinePolicies, "upstream"),
		PrivateRegistries: true,
	}, cmp.Or(config.Tags, "resolve"), 0)
	if err != nil {
		t.Fatal(err)
	}
	w.Explains = true
	set, err := s.compile(t, w, dir)
	if err != nil {
		return "", "", "", err
	}
	request := []byte(s.world.Expand(string(s.file("review.json"))))
	if images := s.images(); len(images) > 0 {
		if request, err = reviews.Pod(images); err != nil {
			t.Fatal(err)
		}
	}
	engine := rego.NewEngine(set, nil)
	cold, coldText := s.decide(t, engine, request)
	warm, _ := s.decide(t, engine, request)
	if diff := gocmp.Diff(cold, warm); diff != "" {
		t.Errorf("the warm decision is another (-cold +warm):\n%s", diff)
	}
	return cold, coldText, s.explain(t, engine, request, cold), nil
}

// lay writes the files that flags name.
func (s *story) lay(t *testing.T) (dir string) {
	t.Helper()
	root, err := s.world.TrustedRoot()
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	for name, data := range map[string][]byte{
		"root.json": root, "trustroot.yaml": s.world.TrustRoot("world"),
		"policy.yaml": []byte(s.world.Expand(string(s.file("policy.yaml")))),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// compile compiles the policies. An error of theirs is part of the story.
func (s *story) compile(t *testing.T, w *wiring.Wiring, dir string) (*rego.Set, error) {
	t.Helper()
	documents, err := w.Read(t.Context())
	if err != nil {
		return nil, storyError(s.world.Redact(strings.ReplaceAll(err.Error(), dir+"/", "")))
	}
	set, err := w.Compile(t.Context(), documents)
	if err != nil {
		return nil, storyError(s.world.Redact(err.Error()))
	}
	return set, nil
}

type storyError string

func (e storyError) Error() string { return string(e) }

func (s *story) decide(t *testing.T, engine *rego.Engine, request []byte) (decision, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	d, err := engine.Decide(ctx, request)
	if err != nil {
		t.Fatal(err)
	}
	var encoded, printed bytes.Buffer
	encoder := json.NewEncoder(&encoded)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(d); err != nil {
		t.Fatal(err)
	}
	if err := printDecision(&printed, d); err != nil {
		t.Fatal(err)
	}
	return s.redact(encoded.String()), s.redact(printed.String())
}

// redact takes out what is another in the next world.
func (s *story) redact(text string) string {
	return hashOfEvidence.ReplaceAllString(s.world.Redact(text), `"<id>$1`)
}

// tellByCommandLine gives a story that `assay verify` can tell to the command
// itself, which must print the same and exit with the code that fits.
func (s *story) tellByCommandLine(t *testing.T, want string) {
	t.Helper()
	config, images := s.config(t), s.images()
	if len(images) == 0 || config.Tags != "" {
		return
	}
	dir := s.lay(t)
	args := []string{
		"verify", "--policy", filepath.Join(dir, "policy.yaml"),
		"--trusted-root", filepath.Join(dir, "root.json"), "--trustroot", filepath.Join(dir, "trustroot.yaml"),
		"--no-match", cmp.Or(config.NoMatch, "deny"), "--identity-regexp", cmp.Or(config.IdentityRegexp, "upstream"),
		"--inline-policies", cmp.Or(config.InlinePolicies, "upstream"),
	}
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), append(args, images...), &stdout, &stderr)
	if got := s.redact(stdout.String()); got != want {
		t.Errorf("assay verify prints another text (-want +got):\n%s%s", gocmp.Diff(want, got), stderr.String())
	}
	wantCode := exitDenied
	if strings.HasSuffix(want, "admitted\n") {
		wantCode = exitAdmitted
	}
	if code != wantCode {
		t.Errorf("assay verify: got exit code %d, want %d", code, wantCode)
	}
}

// wants are the files that -update writes, in order.
func wants() []string {
	return []string{"want/decision.json", "want/text", "want/explain", "want/error"}
}

// want compares what came out with what the story tells, or rewrites the story.
func (s *story) want(t *testing.T, got map[string]string) {
	t.Helper()
	if *update {
		s.rewrite(t, got)
		return
	}
	for _, name := range wants() {
		if diff := gocmp.Diff(string(s.file(name)), got[name]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func (s *story) rewrite(t *testing.T, got map[string]string) {
	t.Helper()
	out := &txtar.Archive{Comment: s.archive.Comment}
	for _, f := range s.archive.Files {
		if !strings.HasPrefix(f.Name, "want/") {
			out.Files = append(out.Files, f)
		}
	}
	for _, name := range wants() {
		if text, ok := got[name]; ok {
			out.Files = append(out.Files, txtar.File{Name: name, Data: []byte(text)})
		}
	}
	if err := os.WriteFile(s.path, txtar.Format(out), 0o600); err != nil {
		t.Fatal(err)
	}
}
