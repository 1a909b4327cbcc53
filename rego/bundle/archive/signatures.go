package archive

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/util"
)

// readSignatures reads .signatures.json. A bundle does not choose what verifies it.
func readSignatures(text []byte) (bundle.SignaturesConfig, error) {
	var out bundle.SignaturesConfig
	if err := decode(text, &out); err != nil {
		return out, err
	}
	if out.Plugin != "" && out.Plugin != "_default" {
		return out, fmt.Errorf("plugin: got %q, want none: what verifies a bundle is not for the bundle to say", out.Plugin)
	}
	if len(out.Signatures) != 1 {
		return out, fmt.Errorf("signatures: got %d, want one", len(out.Signatures))
	}
	return out, nil
}

// claims are what a signature says, for who has yet to verify it.
func claims(signatures bundle.SignaturesConfig) (map[string]bundle.FileInfo, error) {
	parts := strings.Split(signatures.Signatures[0], ".")
	if len(parts) != 3 {
		return nil, errors.New("signatures[0]: want a JWS of three parts")
	}
	payload, err := base64.RawURLEncoding.Strict().DecodeString(parts[1])
	if err != nil {
		return nil, fmt.Errorf("signatures[0]: payload: %w", err)
	}
	var decoded struct {
		Files []bundle.FileInfo `json:"files"`
	}
	if err := util.UnmarshalJSON(payload, &decoded); err != nil {
		return nil, fmt.Errorf("signatures[0]: payload: %w", err)
	}
	out := map[string]bundle.FileInfo{}
	for _, file := range decoded.Files {
		if _, twice := out[file.Name]; twice {
			return nil, fmt.Errorf("signatures[0]: lists %q twice", file.Name)
		}
		out[file.Name] = file
	}
	return out, nil
}

// listed holds the files to what the signature lists, whoever made it: each is listed, with
// its digest, and none is listed that is not there.
func listed(signatures bundle.SignaturesConfig, files map[string][]byte) error {
	claimed, err := claims(signatures)
	if err != nil {
		return fmt.Errorf("%s: %w", signaturesFile, err)
	}
	return match(claimed, files)
}

func match(claimed map[string]bundle.FileInfo, files map[string][]byte) error {
	var errs []error
	left := map[string]bundle.FileInfo{}
	for name, file := range claimed {
		cleaned, err := clean(name, false)
		if _, twice := left[cleaned]; err != nil || twice {
			return fmt.Errorf("%s: lists %q, want clean paths, each once", signaturesFile, name)
		}
		left[cleaned] = file
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if name == signaturesFile {
			continue
		}
		file, ok := left[name]
		switch {
		case !ok:
			errs = append(errs, fmt.Errorf("%q: the signature does not list it", name))
			continue
		case !strings.HasPrefix(file.Algorithm, "SHA-256") && !strings.HasPrefix(file.Algorithm, "SHA-384") && !strings.HasPrefix(file.Algorithm, "SHA-512"):
			errs = append(errs, fmt.Errorf("%q: the signature lists it by %q, want SHA-256 or stronger", name, file.Algorithm))
		default:
			if err := bundle.VerifyBundleFile(name, *bytes.NewBuffer(files[name]), map[string]bundle.FileInfo{name: file}); err != nil {
				errs = append(errs, fmt.Errorf("signature: %w", err))
			}
		}
		delete(left, name)
	}
	for _, name := range slices.Sorted(maps.Keys(left)) {
		errs = append(errs, fmt.Errorf("%q: the signature lists it, and the bundle does not have it", name))
	}
	return errors.Join(errs...)
}

// Verify verifies the signature with OPA's own verifier: by the keys of the configuration,
// their algorithm and scope. [Read] has held the files to what the signature lists.
func (a *Archive) Verify(config *bundle.VerificationConfig) error {
	if !a.Signed {
		return fmt.Errorf("bundle: got no %s, want a signature", signaturesFile)
	}
	verified, err := bundle.VerifyBundleSignature(a.signatures, config)
	if err != nil {
		return fmt.Errorf("signature: %w", err)
	}
	claimed, err := claims(a.signatures)
	if err == nil && !maps.Equal(claimed, verified) {
		err = errors.New("got files that are read in two ways, want one list")
	}
	return err
}

// Sign returns the bundle with a signature as `opa sign` makes them, in place of any that it
// had. Not every key is of every algorithm: OPA says which.
func (a *Archive) Sign(config *bundle.SigningConfig, keyID string) (*Archive, error) {
	if a.Delta {
		return nil, errors.New("bundle: got a delta, want a bundle that is whole: OPA verifies no signature of a delta")
	}
	if config.Plugin != "" && config.Plugin != "_default" {
		return nil, fmt.Errorf("plugin: got %q, want none", config.Plugin)
	}
	files, err := a.encoded()
	if err != nil {
		return nil, err
	}
	hasher, err := bundle.NewSignatureHasher(bundle.SHA256)
	if err != nil {
		return nil, err
	}
	var infos []bundle.FileInfo
	for _, name := range slices.Sorted(maps.Keys(files)) {
		var value any = files[name]
		if bundle.IsStructuredDoc(path.Base(name)) {
			if err := util.Unmarshal(files[name], &value); err != nil {
				return nil, fmt.Errorf("%q: %w", name, err)
			}
		}
		sum, err := hasher.HashFile(value)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", name, err)
		}
		infos = append(infos, bundle.NewFile(name, hex.EncodeToString(sum), string(bundle.SHA256)))
	}
	token, err := bundle.GenerateSignedToken(infos, config, keyID)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	out := *a
	out.Signed, out.signatures = true, bundle.SignaturesConfig{Signatures: []string{token}}
	return &out, nil
}
