//! Check a file of trades opened between written entries. Each part behind its length, u32: `genesis · state`, then
//! `"o" · packed · opened` (empty where it raises) or `"w" · written · root` each.

use penstock_state::roots::SettlementTree;

fn main() {
    let path = std::env::args().nth(1).expect("a file");
    let bytes = std::fs::read(path).expect("a readable file");
    let mut rest = bytes.as_slice();
    let genesis = take(&mut rest);
    let mut tree =
        SettlementTree::from_state(take(&mut rest)).and_then(|tree| tree.with_templates(genesis)).expect("a tree");
    let (mut opened, mut raised, mut written) = (0, 0, 0);
    while !rest.is_empty() {
        let (kind, given, expected) = (take(&mut rest), take(&mut rest), take(&mut rest));
        if kind == b"w" {
            assert_eq!(tree.advance(given).expect("a written entry"), expected, "entry {written}");
            written += 1;
        } else if expected.is_empty() {
            assert!(tree.open_trade(given).is_err(), "before entry {written}: {given:?}");
            raised += 1;
        } else {
            assert_eq!(tree.open_trade(given).expect("an opening"), expected, "before entry {written}: {given:?}");
            opened += 1;
        }
    }
    println!("{opened} trades opened, {raised} refused, {written} entries written: all agree");
}

fn take<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let length = rest.split_off(..4).and_then(|length| length.try_into().ok()).map(u32::from_be_bytes);
    length.and_then(|length| rest.split_off(..length as usize)).expect("a part")
}
