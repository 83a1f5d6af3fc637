package table

import (
	"cmp"
	"slices"

	"nearside/matcher"
)

// Tally counts live rows by account. It is cheap when all rows belong to one account, as
// in most lists.
type Tally []accountRows

// accountRows is the number of rows of one account. account has the same form as in the
// column of accounts: the ordinal plus one, or zero for rows without an account.
type accountRows struct {
	account uint32
	rows    int
}

func (t Tally) find(account uint32) (int, bool) {
	return slices.BinarySearchFunc(t, account, func(a accountRows, account uint32) int { return cmp.Compare(a.account, account) })
}

// Of returns the number of rows of an account.
func (t Tally) Of(account uint32) int {
	if i, ok := t.find(account); ok {
		return t[i].rows
	}
	return 0
}

// total returns the number of rows of all accounts.
func (t Tally) total() int {
	n := 0
	for _, a := range t {
		n += a.rows
	}
	return n
}

// add adds n to the number of rows of an account.
func (t *Tally) add(account uint32, n int) {
	if s := *t; len(s) == 1 && s[0].account == account && s[0].rows != -n {
		s[0].rows += n
		return
	}
	i, ok := t.find(account)
	if !ok {
		*t = slices.Insert(*t, i, accountRows{account: account})
	}
	if (*t)[i].rows += n; (*t)[i].rows == 0 {
		*t = slices.Delete(*t, i, i+1)
	}
}

// merge adds the rows of other.
func (t *Tally) merge(other Tally) {
	for _, a := range other {
		t.add(a.account, a.rows)
	}
}

// tallyRow adds n to the tallies of a row's origin and of its lists. The caller must hold
// the lock.
func (u *Update) tallyRow(o matcher.Origin, v *View, i, n int) {
	account := v.Accounts[i]
	u.tables.Tallies[o].add(account, n)
	for ordinal := range v.Ordinals(i) {
		if u.next.Lists.Shows(ordinal) {
			u.list(ordinal).tally.add(account, n)
		}
	}
}
