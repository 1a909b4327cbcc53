package world

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/assay-dev/assay/world/sigstore"
)

// nameForm is the form of the names of signers and images: what may stand in ${…}.
var nameForm = regexp.MustCompile(`^[a-z0-9]+([._-][a-z0-9]+)*$`)

// registryVariable is the one variable that is not an image's.
const registryVariable = "registry"

// maxCopies bounds what a few lines of YAML can ask for. Registries and
// verifiers stop at a thousand layers; a story needs a few more than that.
const maxCopies = 2000

// firstYear and lastYear keep every certificate of a world within what X.509
// can say, and the clock within the timestamp authority's validity.
const (
	firstYear = 2001
	lastYear  = 9900
)

// problems collects what is wrong, each with its path.
type problems struct{ list []error }

func (p *problems) add(path, format string, args ...any) {
	p.list = append(p.list, fmt.Errorf("world: %s: %w", path, fmt.Errorf(format, args...)))
}

// validate reports everything that is wrong with the description at once.
func (d *Description) validate() error {
	var p problems
	if !oneOf(d.Referrers, "", ReferrersAPI, ReferrersTag) {
		p.add("referrers", "got %q, want %s or %s", d.Referrers, ReferrersAPI, ReferrersTag)
	}
	if year := d.Clock.Year(); !d.Clock.IsZero() && (year < firstYear || year > lastYear) {
		p.add("clock", "got year %d, want %d to %d", year, firstYear, lastYear)
	}
	for _, name := range slices.Sorted(maps.Keys(d.Signers)) {
		d.Signers[name].validate(&p, "signers."+name, name)
	}
	validateRegistry(&p, "registry", d.Registry)
	tags := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(d.Images)) {
		path, image := "images."+name, d.Images[name]
		validateRegistry(&p, path+".registry", image.Registry)
		validateRegistry(&p, path+".evidenceIn.registry", image.EvidenceIn.Registry)
		image = image.withDefaults(name, d.Registry)
		d.validateImage(&p, path, name, image)
		reference := strings.TrimPrefix(image.Registry+"/", "/") + image.Repository + ":" + image.Tag
		if other, taken := tags[reference]; taken {
			p.add(path, "got %s, which is image %s already", reference, other)
		}
		tags[reference] = name
	}
	return errors.Join(p.list...)
}

// canonical is the spelling of a registry that references have after they were
// parsed, or the name itself where there is none.
func canonical(registry string) string {
	if parsed, err := name.NewRegistry(registry, name.StrictValidation); err == nil && registry != "" {
		return parsed.Name()
	}
	return registry
}

func validateRegistry(p *problems, path, registry string) {
	if registry == "" {
		return
	}
	if _, err := name.NewRegistry(registry, name.StrictValidation); err != nil || registry != strings.ToLower(registry) {
		p.add(path, "got %q, want the name of a registry in lower case", registry)
	}
}

func (s Signer) validate(p *problems, path, name string) {
	if !nameForm.MatchString(name) {
		p.add(path, "got name %q, want %s", name, nameForm)
	}
	if s.Key != "" {
		if s.Key != ECDSAP256 {
			p.add(path+".key", "got %q, want %s", s.Key, ECDSAP256)
		}
		if s.Issuer != "" || s.Subject != "" || len(s.Extensions) > 0 {
			p.add(path, "got a key and an identity, want one of them")
		}
		return
	}
	if s.Issuer == "" {
		p.add(path+".issuer", "got nothing, want an issuer, or a key instead")
	}
	if err := sigstore.ValidateSubject(s.Subject); err != nil {
		p.add(path+".subject", "%w", err)
	}
	known := sigstore.ExtensionNames()
	for _, extension := range slices.Sorted(maps.Keys(s.Extensions)) {
		if !slices.Contains(known, extension) {
			p.add(path+".extensions."+extension, "got an unknown extension, want one of %s", strings.Join(known, ", "))
		}
	}
}

func (d *Description) validateImage(p *problems, path, key string, i Image) {
	if !nameForm.MatchString(key) || key == registryVariable {
		p.add(path, "got name %q, want %s and not %q", key, nameForm, registryVariable)
	}
	reference := "registry.example/" + i.Repository + ":" + i.Tag
	if _, err := name.NewTag(reference, name.StrictValidation); err != nil {
		p.add(path, "got repository %q and tag %q: %w", i.Repository, i.Tag, err)
	}
	for n, platform := range i.Platforms {
		at := fmt.Sprintf("%s.platforms[%d]", path, n)
		if parsed, err := v1.ParsePlatform(platform); err != nil || parsed.Architecture == "" {
			p.add(at, "got %q, want os/architecture", platform)
		}
		if slices.Index(i.Platforms, platform) != n {
			p.add(at, "got %q twice", platform)
		}
	}
	for _, file := range slices.Sorted(maps.Keys(i.Files)) {
		clean := strings.TrimPrefix(file, "/")
		sound := fs.ValidPath(clean) && clean != "." && !strings.ContainsRune(clean, 0)
		twice := clean != file && has(i.Files, clean)
		if !sound || twice || clean == nameFile {
			p.add(path+".files."+file, "got a path that is not clean, given twice, or %s", nameFile)
		}
	}
	if i.EvidenceFrom != "" && (i.EvidenceFrom == key || !has(d.Images, i.EvidenceFrom)) {
		p.add(path+".evidenceFrom", "got %q, want another one of %s", i.EvidenceFrom, sortedNames(d.Images))
	}
	i.EvidenceIn.validate(p, path+".evidenceIn")
	for n, s := range i.Signatures {
		at := fmt.Sprintf("%s.signatures[%d]", path, n)
		s.validate(p, at)
		d.validateSigning(p, at, s.Signing, func(from mint) (*recipe, error) { return from.signature(s, "", descriptor{}) })
	}
	for n, a := range i.Attestations {
		at := fmt.Sprintf("%s.attestations[%d]", path, n)
		a.validate(p, at)
		d.validateSigning(p, at, a.Signing, func(from mint) (*recipe, error) { return from.attestation(a, "", descriptor{}) })
	}
}

func (e Place) validate(p *problems, path string) {
	if e.Repository != "" {
		if _, err := name.NewRepository("registry.example/"+e.Repository, name.StrictValidation); err != nil {
			p.add(path+".repository", "got %q: %w", e.Repository, err)
		}
	}
	// cosign's longest tag has 7 and 64 characters for the digest, and 4 for what it is.
	tag := e.TagPrefix + "sha256-" + strings.Repeat("0", 64) + ".sig"
	if _, err := name.NewTag("registry.example/app:"+tag, name.StrictValidation); err != nil {
		p.add(path+".tagPrefix", "got %q: %w", e.TagPrefix, err)
	}
}

func (s Signature) validate(p *problems, path string) {
	switch {
	case !oneOf(s.Content, "", Envelope, Message):
		p.add(path+".content", "got %q, want %s or %s", s.Content, Envelope, Message)
	case s.Content != "" && s.Format != Bundle:
		p.add(path+".content", "got %s in the legacy format, want format: %s", s.Content, Bundle)
	}
}

func (a Attestation) validate(p *problems, path string) {
	if a.PredicateType == "" {
		p.add(path+".predicateType", "got nothing, want the predicate's type")
	}
	if len(a.Predicate) > 0 && !json.Valid(a.Predicate) {
		p.add(path+".predicate", "got %q, want JSON", a.Predicate)
	}
	switch {
	case !oneOf(a.Entry, "", DSSE, Intoto):
		p.add(path+".entry", "got %q, want %s or %s", a.Entry, DSSE, Intoto)
	case a.Entry != "" && !oneOf(a.Log, "", Rekor):
		p.add(path+".entry", "got %q with log: %s, want log: %s", a.Entry, a.Log, Rekor)
	}
}

// validateSigning checks the common fields, then whether the fault has a place in
// what would be made.
func (d *Description) validateSigning(p *problems, path string, s Signing, recipe func(mint) (*recipe, error)) {
	before := len(p.list)
	if !has(d.Signers, s.Signer) {
		p.add(path+".signer", "got %q, want one of %s", s.Signer, sortedNames(d.Signers))
	}
	if !oneOf(s.Format, "", Legacy, Bundle) {
		p.add(path+".format", "got %q, want %s or %s", s.Format, Legacy, Bundle)
	}
	if !oneOf(s.Log, "", Rekor, Rekor2, NoLog) {
		p.add(path+".log", "got %q, want %s, %s or %s", s.Log, Rekor, Rekor2, NoLog)
	}
	if s.Log == Rekor2 && s.Format != Bundle {
		p.add(path+".log", "got %s in the legacy format, want format: %s", Rekor2, Bundle)
	}
	if s.Copies < 0 || s.Copies > maxCopies {
		p.add(path+".copies", "got %d, want 0 to %d", s.Copies, maxCopies)
	}
	if len(p.list) > before {
		return // a recipe of these would mislead
	}
	paper := &sigstore.Sigstore{
		CA: &sigstore.CA{}, CTLog: &sigstore.CTLog{}, Rekor: &sigstore.Rekor{}, Rekor2: &sigstore.Rekor2{}, TSA: &sigstore.TSA{},
	}
	if _, err := recipe(mint{description: d, own: paper, strangers: paper}); err != nil {
		p.add(path+".fault", "%w", err)
	}
}

func oneOf[T comparable](value T, allowed ...T) bool { return slices.Contains(allowed, value) }

func has[V any](m map[string]V, name string) bool {
	_, ok := m[name]
	return ok
}

func sortedNames[V any](m map[string]V) string {
	if len(m) == 0 {
		return "none, because there are none"
	}
	return strings.Join(slices.Sorted(maps.Keys(m)), ", ")
}
