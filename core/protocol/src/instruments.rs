//! Kinds of instruments, and on which days they may end; Deribit's calendar.

pub const PERPETUAL: u8 = 1;
pub const FUTURE: u8 = 2;
pub const OPTION: u8 = 4;

pub const NO_OPTION: u8 = 0;
pub const CALL: u8 = 1;
pub const PUT: u8 = 2;

pub const DAILY: u8 = 1;
pub const WEEKLY: u8 = 2;
pub const MONTHLY: u8 = 4;
pub const QUARTERLY: u8 = 8;
pub const ALL_DATES: u8 = DAILY | WEEKLY | MONTHLY | QUARTERLY;

const DAY: u64 = 86_400;
/// Contracts end at 08:00 UTC.
const EXPIRY_HOUR: u64 = 8 * 3_600;
const FRIDAY: u64 = 4;
/// How many days ahead each kind of date may be listed.
const REACH_DAYS: [(u8, u64); 4] = [(DAILY, 3), (WEEKLY, 21), (MONTHLY, 100), (QUARTERLY, 400)];

/// The month of the day `day` days after 1 January 1970, in the Gregorian calendar.
///
/// By eras of 400 years that begin on 1 March, so that the leap day is the last of its year.
fn month_of(day: u64) -> u64 {
    let of_era = (day + 719_468) % 146_097;
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    if month < 10 { month + 3 } else { month - 9 }
}

/// Which kinds of date an expiry (s) is: a bit set; 0 where it is not 08:00 UTC.
pub fn dates_of(expiry: u64) -> u8 {
    let day = expiry / DAY;
    if expiry % DAY != EXPIRY_HOUR {
        return 0;
    }
    if (day + 3) % 7 != FRIDAY {
        return DAILY;
    }
    let month = month_of(day);
    if month_of(day + 7) == month {
        return DAILY | WEEKLY;
    }
    DAILY | WEEKLY | MONTHLY | if month.is_multiple_of(3) { QUARTERLY } else { 0 }
}

/// Whether a template of `dates` foresees an expiry (s) at venue time `now` (s).
pub fn is_listable(dates: u8, expiry: u64, now: u64) -> bool {
    let kinds = dates & dates_of(expiry);
    expiry > now && REACH_DAYS.iter().any(|&(kind, days)| kinds & kind != 0 && expiry - now <= days * DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 08:00 UTC of a day after 1 January 1970.
    const fn at(day: u64) -> u64 {
        day * DAY + EXPIRY_HOUR
    }

    #[test]
    fn the_last_friday_of_march_is_of_every_kind() {
        // 27 March 2026, and the Fridays and the day around it.
        assert_eq!(dates_of(at(20_539)), ALL_DATES);
        assert_eq!(dates_of(at(20_532)), DAILY | WEEKLY);
        assert_eq!(dates_of(at(20_546)), DAILY | WEEKLY);
        assert_eq!(dates_of(at(20_540)), DAILY);
        assert_eq!(dates_of(at(20_539) + 1), 0);
        // 24 April 2026 ends a month, but no quarter.
        assert_eq!(dates_of(at(20_567)), DAILY | WEEKLY | MONTHLY);
    }

    #[test]
    fn a_leap_day_may_end_a_month() {
        // 29 February 2036 is a Friday.
        assert_eq!((month_of(24_165), month_of(24_166)), (2, 3));
        assert_eq!(dates_of(at(24_165)), DAILY | WEEKLY | MONTHLY);
    }

    #[test]
    fn each_kind_reaches_as_far_ahead_as_it_may() {
        let friday = at(20_539);
        for (kind, days) in REACH_DAYS {
            assert!(is_listable(kind, friday, friday - days * DAY));
            assert!(!is_listable(kind, friday, friday - days * DAY - 1));
        }
        assert!(is_listable(DAILY, friday, friday - 1) && !is_listable(ALL_DATES, friday, friday));
    }
}
