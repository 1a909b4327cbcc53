package bundles

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"

	"github.com/open-policy-agent/opa/v1/bundle"
	"github.com/spf13/cobra"

	"github.com/assay-dev/assay/cmd/assay/plain"
	"github.com/assay-dev/assay/rego/bundle/archive"
)

func signCommand() *cobra.Command {
	var key, algorithm, keyID, output string
	cmd := &cobra.Command{
		Use:   "sign BUNDLE",
		Short: "Sign a policy bundle with a key, as OPA verifies it",
		Long: "Sign puts a signature into a bundle, .signatures.json, as opa sign does: stock OPA verifies it, and so does\n" +
			"assay where its config names the key. A signature that the bundle has already is replaced.\n\n" +
			"A bundle in a registry is signed without a key by cosign: push it, and sign its digest.",
		Example: "  assay sign bundle.tar.gz --signing-key key.pem --signing-alg ES256",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if key == "" {
				return errors.New("--signing-key: got none, want the file of a private key, or of a secret for HS256")
			}
			if output == "" {
				output = args[0]
			}
			report, err := sign(args[0], output, key, algorithm, keyID)
			if err != nil {
				return err
			}
			fmt.Fprint(cmd.OutOrStdout(), report)
			return nil
		},
	}
	cmd.Flags().StringVar(&key, "signing-key", "", "`file` with the private key in PEM, or with the secret of HS256")
	cmd.Flags().StringVar(&algorithm, "signing-alg", "RS256", "algorithm of the key, such as RS256, ES256 or HS256")
	cmd.Flags().StringVar(&keyID, "key-id", "default", "name of the key where the bundle is verified")
	cmd.Flags().StringVarP(&output, "output", "o", "", "`path` of the signed bundle (default: in place)")
	return cmd
}

func sign(path, output, key, algorithm, keyID string) (string, error) {
	for _, path := range []string{path, output} {
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			return "", fmt.Errorf("%s: got a directory, want the file of a bundle: one in a registry is signed by cosign", path)
		}
	}
	if _, err := readKey("--signing-key", key, algorithm); err != nil {
		return "", err
	}
	data, err := Load(path)
	if err != nil {
		return "", err
	}
	read, err := archive.Read(data, archive.Limits{})
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	signed, err := read.Sign(bundle.NewSigningConfig(key, algorithm, ""), keyID)
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	var out bytes.Buffer
	if err := archive.Write(&out, signed); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	if err := save(output, out.Bytes()); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s: signed by key %s, %s\ndigest  sha256:%x\n", plain.Line(output), plain.Line(keyID), algorithm, sha256.Sum256(out.Bytes())), nil
}
