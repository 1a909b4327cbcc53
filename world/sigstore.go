package world

import (
	"crypto"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
)

// sigstore is one set of authorities. A world has two: its own, which the
// trusted root names, and the strangers, which it does not.
type sigstore struct {
	fulcio *fulcio
	ctLog  *ctLog
	rekor  *rekor
	rekor2 *rekor2
	tsa    *tsa
}

func newSigstore(clock time.Time) (s sigstore, err error) {
	if s.fulcio, err = newFulcio(clock); err != nil {
		return s, fmt.Errorf("certificate authority: %w", err)
	}
	if s.ctLog, err = newCTLog(); err != nil {
		return s, fmt.Errorf("certificate log: %w", err)
	}
	if s.rekor, err = newRekor(); err != nil {
		return s, fmt.Errorf("transparency log: %w", err)
	}
	if s.rekor2, err = newRekor2(); err != nil {
		return s, fmt.Errorf("transparency log: %w", err)
	}
	if s.tsa, err = newTSA(clock); err != nil {
		return s, fmt.Errorf("timestamp authority: %w", err)
	}
	return s, nil
}

// log is the log of that name, nil for NoLog.
func (s sigstore) log(name Log) transparencyLog {
	switch name {
	case Rekor2:
		return s.rekor2
	case NoLog:
		return nil
	default:
		return s.rekor
	}
}

// trustedRoot is the trusted_root.json of these authorities.
func (s sigstore) trustedRoot(clock time.Time) ([]byte, error) {
	since := clock.Add(-authorityAge)
	log := func(url string, id []byte, key crypto.PublicKey) map[string]*root.TransparencyLog {
		return map[string]*root.TransparencyLog{hex.EncodeToString(id): {
			BaseURL: url, ID: id, ValidityPeriodStart: since,
			PublicKey: key, HashFunc: crypto.SHA256, SignatureHashFunc: crypto.SHA256,
		}}
	}
	logs := log("https://"+rekorHost, s.rekor.id[:], s.rekor.key.Public())
	for id, l := range log("https://"+rekor2Host, s.rekor2.id[:], s.rekor2.key.Public()) {
		// A second later, because the trusted root's logs are sorted by start.
		l.ValidityPeriodStart = since.Add(time.Second)
		logs[id] = l
	}
	trusted, err := root.NewTrustedRoot(root.TrustedRootMediaType01,
		[]root.CertificateAuthority{&root.FulcioCertificateAuthority{
			URI: "https://fulcio.world.example", Root: s.fulcio.root,
			Intermediates: certificates(s.fulcio.intermediate), ValidityPeriodStart: since,
		}},
		log("https://ctlog.world.example", s.ctLog.id[:], s.ctLog.key.Public()),
		[]root.TimestampingAuthority{&root.SigstoreTimestampingAuthority{
			URI: "https://tsa.world.example", Root: s.tsa.root, Leaf: s.tsa.leaf, ValidityPeriodStart: since,
		}},
		logs)
	if err != nil {
		return nil, fmt.Errorf("trusted root: %w", err)
	}
	return trusted.MarshalJSON()
}
