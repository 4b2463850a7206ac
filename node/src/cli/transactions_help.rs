//! What `node help transactions` prints.

pub(crate) const TRANSACTIONS_HELP: &str = "\
Transactions do several things at once, or nothing:

  node txn --if 'holds color blue' --then 'put color green' --then 'incr changes 1' --else 'get color' --endpoints …

Conditions, of which all must hold (without any, they do):

  holds KEY VALUE      the key holds just this
  differs KEY VALUE    the key holds something else, or nothing
  absent KEY           the key has no value
  present KEY          the key has a value

Operations, in order; each sees what those before it have done, and has a line of its own in what is printed:

  get KEY                          the value, or (nil); of a list, its items as a JSON array
  put KEY VALUE                    ok
  delete KEY                       deleted, or (nil)
  append KEY SUFFIX                how many bytes the value has then
  incr KEY AMOUNT                  what the number is then
  push KEY ITEM, push-front …      ok
  pop KEY, pop-back KEY            the item, or (nil)

Words are separated by blanks, and quoted as in a shell: 'put greeting \"good morning\"'. Where an operation can't be carried out
(what is stored is no number, or no list, or one that bytes are to be appended to), the whole transaction changes nothing.
";
