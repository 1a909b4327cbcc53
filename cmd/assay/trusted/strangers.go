package trusted

import (
	"fmt"
	"regexp"

	"github.com/assay-dev/assay/rego/cip"
)

// strangers are identities of people and programs that nobody has heard of: an expression
// that matches one of them says no owner, and the one that it matches shows why. That it
// matches none of these proves nothing, see [owned].
type strangers struct{ issuers, subjects []string }

// someStrangers are of each kind that public issuers know. Repositories and workflows have
// the names that are usual for those of policies: an expression that leaves open whose they
// are matches them.
func someStrangers() strangers {
	out := strangers{
		issuers: []string{
			"https://stranger.example", "https://oidc.stranger.example/realms/stranger", "https://gitlab.stranger.example",
			"https://token.actions.githubusercontent.com/stranger",
			"https://container.googleapis.com/v1/projects/stranger/locations/europe-west1/clusters/stranger",
			"https://oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF",
		},
		subjects: []string{
			"stranger@gmail.com", "stranger-7@stranger.example", "stranger@googlemail.com", "stranger@outlook.com", "stranger@hotmail.com", "stranger@live.com",
			"stranger@yahoo.com", "stranger@icloud.com", "stranger@proton.me", "stranger@gmx.de", "1+stranger@users.noreply.github.com",
			"spiffe://stranger.example/ns/stranger/sa/stranger", "spiffe://stranger.example/stranger",
			"https://stranger.example/stranger", "https://kubernetes.io/namespaces/stranger/serviceaccounts/stranger",
			"system:serviceaccount:stranger:stranger", "stranger",
		},
	}
	for _, owner := range []string{"stranger", "stranger-7"} {
		for _, repository := range []string{"policies", "stranger"} {
			for _, ref := range []string{"heads/main", "tags/v1.0.0"} {
				for _, workflow := range []string{"build", "publish", "push", "release", "stranger"} {
					out.subjects = append(out.subjects, fmt.Sprintf("https://github.com/%s/%s/.github/workflows/%s.yml@refs/%s", owner, repository, workflow, ref))
				}
				out.subjects = append(out.subjects, fmt.Sprintf("https://gitlab.com/%s/%s//.gitlab-ci.yml@refs/%s", owner, repository, ref))
			}
		}
	}
	return out
}

// admits is a stranger that an expression matches, "" where it matches none. It matches as
// a bootstrap policy's does: the whole value.
func admits(expression string, known []string) string {
	whole, err := regexp.Compile(`\A(?:` + expression + `)\z`)
	if expression == "" || err != nil { // the policy is refused for that
		return ""
	}
	for _, one := range known {
		if whole.MatchString(one) {
			return one
		}
	}
	return ""
}

// anybody refuses an authority that strangers satisfy, or whose certificates nobody logged. A private authority, which
// the policy names, need not have a log of certificates; the default root has one.
func anybody(path string, k cip.KeylessRef, refuse func(field, got, want string)) {
	private := k.TrustRootRef != "" || k.CACert != nil
	if k.InsecureIgnoreSCT != nil && *k.InsecureIgnoreSCT && !private {
		refuse(path+".insecureIgnoreSCT", "true, which believes certificates that no log has", "false, or the trustRootRef of a private authority that has no log")
	}
	known := someStrangers()
	for i, identity := range k.Identities {
		at := fmt.Sprintf("%s.identities[%d]", path, i)
		if one := admits(identity.IssuerRegExp, known.issuers); one != "" {
			refuse(at+".issuerRegExp", fmt.Sprintf("%q, which matches %s", identity.IssuerRegExp, one), "issuers that are named")
		} else if identity.IssuerRegExp != "" && !listed(identity.IssuerRegExp) {
			refuse(at+".issuerRegExp", fmt.Sprintf("%q, which leaves some of them open", identity.IssuerRegExp), `issuers that are named, as in ^https://(one|two)\.acme\.example$`)
		}
		if one := admits(identity.SubjectRegExp, known.subjects); one != "" {
			refuse(at+".subjectRegExp", fmt.Sprintf("%q, which matches %s", identity.SubjectRegExp, one), `an owner, as in ^https://github\.com/acme/.*`)
		} else if identity.SubjectRegExp != "" && !owned(identity.SubjectRegExp) {
			refuse(at+".subjectRegExp", fmt.Sprintf("%q, which says no owner at the beginning or the end of all that it matches", identity.SubjectRegExp),
				`an owner and the slash behind it, as in ^https://github\.com/acme/.*, or a domain, as in ^[^/@]+@acme\.example$`)
		}
	}
}
