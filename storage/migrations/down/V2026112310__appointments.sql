DROP TRIGGER patients_free_times ON patients;
DROP FUNCTION free_times_of_removed();
DROP FUNCTION wake_wishes(uuid[]);
DROP FUNCTION take_booking_work(double precision, bigint);
DROP TABLE booking_work;
DROP TABLE waitlist;
DROP TABLE booking_handles;
DROP TABLE appointments;
DROP FUNCTION keep_appointment();
